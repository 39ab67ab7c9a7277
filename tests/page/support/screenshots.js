// Screenshots of the page, for people to look at: target/page/.

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = process.env.DIALBRIDGE_SCREENSHOTS ?? fileURLToPath(new URL('../../../target/page/', import.meta.url));

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

/** Takes the page at both widths, in both colours: `NAME.png`, `NAME-phone.png`, `NAME-phone-dark.png`. */
export async function screenshots(tab, name) {
  mkdirSync(FOLDER, { recursive: true });
  await tab.screenshot(`${FOLDER}/${name}.png`);
  await tab.size(PHONE);
  await tab.screenshot(`${FOLDER}/${name}-phone.png`);
  await tab.colours('dark');
  await tab.screenshot(`${FOLDER}/${name}-phone-dark.png`);
  await tab.colours('light');
  await tab.size(DESKTOP);
}
