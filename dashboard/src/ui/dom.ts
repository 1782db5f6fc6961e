/** The little of a framework this page needs: making elements, finding them, and drawing once a frame. */

type Attributes = Readonly<Record<string, string | undefined>>;

/** Makes an element; attributes that are `undefined` are left out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Finds an element of the page's skeleton. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element \`${id}\``);
  return found;
}

/** Sets text only when it differs: an equal write still costs a layout. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Returns a function that runs `draw` at most once a frame, however often it is called. */
export function oncePerFrame(draw: () => void): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw();
    });
  };
}
