// XML as a tree to compare: what stands in it, not how it is written.

import { DOMParser } from '@xmldom/xmldom';

/** A document's root as `{ name, attributes, children }`; text is a string, pieces of text side by side are one. */
export function tree(xml) {
  const faults = [];
  const document = new DOMParser({ onError: (level, message) => faults.push(`${level}: ${message}`) }).parseFromString(
    xml,
    'text/xml',
  );
  if (faults.length > 0) throw new Error(`${faults.join('; ')} in ${xml}`);
  return element(document.documentElement);
}

function element(node) {
  const attributes = Object.fromEntries([...node.attributes].map(({ name, value }) => [name, value]));
  const children = [];
  for (const child of node.childNodes) {
    if (child.nodeType === child.ELEMENT_NODE) children.push(element(child));
    else if (typeof children.at(-1) === 'string') children.push(children.pop() + child.data);
    else children.push(child.data);
  }
  return { name: node.tagName, attributes, children };
}
