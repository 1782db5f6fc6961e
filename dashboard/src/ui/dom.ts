/** Helpers for the DOM: making elements, finding them, and drawing when a frame is due. */

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

/** Sets text only when it differs, since an equal write still costs a layout. Reuses the text node, to allocate nothing. */
export function setText(target: HTMLElement, text: string): void {
  const held = target.firstChild;
  if (held instanceof Text && held.nextSibling === null) {
    if (held.data !== text) held.data = text;
  } else if (target.textContent !== text) target.textContent = text;
}

/** Puts rows in their order; the one that has the focus keeps it. */
export function replaceRows(list: HTMLElement, rows: readonly (HTMLElement | undefined)[]): void {
  const focused = document.activeElement;
  list.replaceChildren(...rows.filter((row) => row !== undefined));
  if (focused instanceof HTMLElement && list.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
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

/**
 * Draws changes of the feed: the first one at once, further ones together and no faster than a person can read figures,
 * however many messages arrive. A page in the background gets no animation frames and draws nothing.
 */
export class Pace {
  #due = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #drawnAt = -Infinity;

  /** @param interval least time between two draws, in milliseconds */
  constructor(
    private readonly interval: number,
    private readonly draw: () => void,
  ) {}

  /** Draws a change when it is due. */
  request(): void {
    if (this.#due) return;
    this.#due = true;
    const wait = this.#drawnAt + this.interval - performance.now();
    if (wait <= 0) this.#onFrame();
    else this.#timer = setTimeout(() => { this.#onFrame(); }, wait);
  }

  /** Draws in the next frame: the user did something and should see the result at once. */
  flush(): void {
    if (!this.#due) this.#due = true;
    else if (this.#timer === undefined) return;
    this.#onFrame();
  }

  #onFrame(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#drawnAt = performance.now();
      this.draw();
    });
  }
}
