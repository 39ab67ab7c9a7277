// Creates elements, writes times and asks the service.

/** Creates an element: `el('p', { class: 'note', hidden: true }, 'text', child)`. Skips undefined and null. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== ''));
  return element;
}

/** The element with this id. */
export const by = (id) => document.getElementById(id);

/** Milliseconds as seconds: `0.87 s`. */
export const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

/** Milliseconds as a duration: `4:07`, `1:02:30`. */
export function length(ms) {
  const all = Math.round(ms / 1000);
  const two = (n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Milliseconds since 1970 as a time of day, with the date if it is not today. */
export function clock(ms) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}

/** The URL of a path of the service. A proxy may put a path of its own before it, so this one goes from the page. */
export function urlOf(path) {
  return new URL(`.${path}`, document.baseURI).href;
}

/** Sends a request to the service. Throws an error with a sentence that says what to do. */
export async function ask(path, options) {
  let response;
  try {
    response = await fetch(urlOf(path), { ...options, credentials: 'same-origin' });
  } catch {
    throw new Error('The service cannot be reached. Look whether it is still running, then reload the page.');
  }
  if (response.status === 401) throw new Error('You are logged out. Reload the page and log in.');
  if (!response.ok) throw new Error((await response.text()).trim() || `The service answered ${response.status}.`);
  return response.json();
}

/** Notes where an element stands in the window. What it returns scrolls the page so that it stands there again. */
export function keepInPlace(element) {
  const top = () => element.getBoundingClientRect().top;
  const before = top();
  return () => scrollBy({ top: top() - before, behavior: 'instant' });
}
