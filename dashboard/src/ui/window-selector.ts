/** The windows as a row of radio buttons: one tab stop; arrow keys move, digits choose from anywhere on the page. */

import { element } from './dom';

export class WindowSelector {
  #windows: readonly string[] = [];
  #buttons: HTMLButtonElement[] = [];

  constructor(
    private readonly root: HTMLElement,
    private readonly select: (window: string) => void,
  ) {
    root.addEventListener('keydown', (event) => {
      const step = event.key === 'ArrowRight' || event.key === 'ArrowDown' ? 1 : event.key === 'ArrowLeft' || event.key === 'ArrowUp' ? -1 : 0;
      if (step === 0) return;
      event.preventDefault();
      const from = this.#buttons.findIndex((button) => button === document.activeElement);
      const index = (from + step + this.#buttons.length) % this.#buttons.length;
      this.choose(index);
      this.#buttons[index]?.focus();
    });
  }

  get windows(): readonly string[] {
    return this.#windows;
  }

  setWindows(windows: readonly string[]): void {
    this.#windows = windows;
    this.#buttons = windows.map((name, index) => {
      const button = element('button', { type: 'button', role: 'radio', 'aria-checked': 'false', tabindex: '-1' }, name);
      if (index < 9) button.title = `${name} (${index + 1})`;
      button.addEventListener('click', () => {
        this.select(name);
      });
      return button;
    });
    this.root.replaceChildren(...this.#buttons);
  }

  choose(index: number): void {
    const name = this.#windows[index];
    if (name !== undefined) this.select(name);
  }

  /** Chooses the window `by` places after the current one, and stops at the ends. */
  step(by: number): void {
    const chosen = this.#buttons.findIndex((button) => button.getAttribute('aria-checked') === 'true');
    this.choose(Math.min(this.#windows.length - 1, Math.max(0, chosen + by)));
  }

  show(window: string): void {
    this.#buttons.forEach((button, index) => {
      const checked = this.#windows[index] === window;
      const was = button.getAttribute('aria-checked') === 'true';
      button.setAttribute('aria-checked', String(checked));
      button.tabIndex = checked ? 0 : -1;
      // On a narrow screen the row scrolls, and it may be beyond the edge.
      if (checked && !was) button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    });
  }
}
