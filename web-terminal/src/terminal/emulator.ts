/** xterm.js, set up for a lab: the one place that knows it. */
import { FitAddon } from '@xterm/addon-fit';
import type { SearchAddon } from '@xterm/addon-search';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { t } from '../i18n/index.svelte';
import { terminalTheme, type Theme } from '../ui/theme.svelte';
import { OrderedScreen } from './ordered';
import type { Screen } from './stream';

/** Lines kept above the screen: 5000 × 80 cells × 12 bytes is 5 MB a console. */
const SCROLLBACK_LINES = 5000;

export interface Looks {
  theme: Theme;
  fontSize: number;
  reader: boolean;
}

export interface EmulatorEvents {
  /** Typed, pasted, or answered by the emulator itself. */
  input(bytes: Uint8Array): void;
  /** A link that the lab printed was clicked. */
  link(url: string): void;
  /** A key the page wants; false keeps it from the console. */
  key(event: KeyboardEvent): boolean;
}

export class XtermEmulator {
  readonly terminal: Terminal;
  /** Writes, resizes and resets in order. */
  readonly screen: Screen;
  readonly #fit = new FitAddon();
  #search: Promise<SearchAddon> | null = null;

  constructor(looks: Looks, events: EmulatorEvents) {
    const encoder = new TextEncoder();
    Terminal.strings.promptLabel = t('term.input');
    Terminal.strings.tooMuchOutput = t('term.too-much');
    this.terminal = new Terminal({
      ...appearance(looks),
      scrollback: SCROLLBACK_LINES,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--mono'),
      allowProposedApi: true, // Unicode 11 widths, which is what the server's screen model counts with
      logLevel: 'off', // it would log every malformed sequence of a flood
      cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      macOptionIsMeta: true,
      linkHandler: { activate: (_, url) => events.link(url), allowNonHttpProtocols: false },
    });
    this.terminal.loadAddon(this.#fit);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = '11';
    this.terminal.loadAddon(new WebLinksAddon((_, url) => events.link(url)));
    this.terminal.onData((text) => events.input(encoder.encode(text)));
    this.terminal.onBinary((text) => events.input(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.terminal.attachCustomKeyEventHandler((event) => events.key(event));
    const terminal = this.terminal;
    this.screen = new OrderedScreen({
      write: (bytes, parsed) => terminal.write(bytes, parsed),
      resize: (cols, rows) => terminal.resize(cols, rows),
      reset: () => terminal.reset(),
    });
  }

  /** Draws into `element`, with WebGL where there is any: ten times faster frames, and loaded only here. */
  open(element: HTMLElement, label: string): void {
    this.terminal.open(element);
    this.terminal.textarea?.setAttribute('aria-label', `${t('term.input')} ${label}`);
    // A browser's own corrections would retype what the shell already has.
    for (const attribute of ['autocorrect', 'autocapitalize', 'autocomplete']) this.terminal.textarea?.setAttribute(attribute, 'off');
    void this.#accelerate();
  }

  look(looks: Looks): void {
    Object.assign(this.terminal.options, appearance(looks));
  }

  /** Columns and rows that fit the element now. */
  fitting(): { cols: number; rows: number } | null {
    const size = this.#fit.proposeDimensions();
    if (!size || !Number.isFinite(size.cols) || !Number.isFinite(size.rows)) return null;
    return { cols: Math.max(20, Math.min(500, size.cols)), rows: Math.max(5, Math.min(300, size.rows)) };
  }

  /** Largest text at which the whole picture fits the element; a viewer has no say in the size. */
  scale(element: HTMLElement): void {
    const picture = element.querySelector<HTMLElement>('.xterm-screen');
    if (!picture || picture.clientWidth === 0 || element.clientWidth === 0) return;
    const factor = Math.min((element.clientWidth - 16) / picture.clientWidth, element.clientHeight / picture.clientHeight);
    const size = Math.floor(Math.max(5, Math.min(18, this.fontSize * factor)) * 2) / 2;
    if (Math.abs(size - this.fontSize) >= 0.5) this.terminal.options.fontSize = size;
  }

  get fontSize(): number {
    return this.terminal.options.fontSize ?? 14;
  }

  async find(text: string, back: boolean): Promise<boolean> {
    this.#search ??= import('@xterm/addon-search').then(({ SearchAddon }) => {
      const addon = new SearchAddon();
      this.terminal.loadAddon(addon);
      return addon;
    });
    const addon = await this.#search;
    return back ? addon.findPrevious(text) : addon.findNext(text, { incremental: true });
  }

  endSearch(): void {
    void this.#search?.then((addon) => addon.clearDecorations());
    this.terminal.clearSelection();
  }

  /** Everything above and on the screen, as text; wrapped lines joined. */
  text(): string {
    const buffer = this.terminal.buffer.active;
    let text = '';
    for (let y = 0; y < buffer.length; y++) {
      const line = buffer.getLine(y);
      if (!line) continue;
      text += (y && !line.isWrapped ? '\n' : '') + line.translateToString(true);
    }
    return text.trimEnd();
  }

  dispose(): void {
    this.terminal.dispose();
  }

  async #accelerate(): Promise<void> {
    try {
      const { WebglAddon } = await import('@xterm/addon-webgl');
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.terminal.loadAddon(webgl);
    } catch {
      // No WebGL here (old device, remote desktop): the DOM renderer that is already drawing stays.
    }
  }
}

function appearance({ theme, fontSize, reader }: Looks) {
  const colours = terminalTheme(theme);
  return { theme: colours.theme, minimumContrastRatio: colours.contrast, fontSize, screenReaderMode: reader };
}
