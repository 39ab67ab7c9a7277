// Screenshots of the page, for people to look at: target/page/.

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = process.env.DIALBRIDGE_SCREENSHOTS ?? fileURLToPath(new URL('../../../target/page/', import.meta.url));

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

/** Takes the page at both widths, in both colours: `NAME.png`, `NAME-dark.png`, and the same of `NAME-phone`. */
export async function screenshots(tab, name) {
  mkdirSync(FOLDER, { recursive: true });
  for (const [size, end] of [[DESKTOP, ''], [PHONE, '-phone']]) {
    await tab.size(size);
    await tab.screenshot(`${FOLDER}/${name}${end}.png`);
    await tab.colours('dark');
    await tab.screenshot(`${FOLDER}/${name}${end}-dark.png`);
    await tab.colours('light');
  }
  await tab.size(DESKTOP);
}
