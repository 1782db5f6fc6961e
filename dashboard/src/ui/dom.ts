/** The little of a framework this page needs: making elements, finding them, and drawing when a frame is due. */

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

/** Sets text only when it differs, since an equal write still costs a layout; in the node that is there, to make no garbage. */
export function setText(target: HTMLElement, text: string): void {
  const held = target.firstChild;
  if (held instanceof Text && held.nextSibling === null) {
    if (held.data !== text) held.data = text;
  } else if (target.textContent !== text) target.textContent = text;
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
 * Draws what comes from the feed: the first change at once, further ones together and no faster than the eye reads
 * figures, however many messages come. A page in the background gets no frames and draws nothing.
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

  /** Something has changed. */
  request(): void {
    if (this.#due) return;
    this.#due = true;
    const wait = this.#drawnAt + this.interval - performance.now();
    if (wait <= 0) this.#onFrame();
    else this.#timer = setTimeout(() => { this.#onFrame(); }, wait);
  }

  /** Somebody did something and looks for the answer: it does not wait. */
  hurry(): void {
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
