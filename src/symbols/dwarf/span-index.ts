import { lastAtOrBelow } from '../sorted-search.ts';

/** Addresses from `begin` up to, and without, `end`; relative to the image. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** How many spans below an address are looked at: in real files no two overlap. */
const OVERLAPS_MAX = 16;

/** Finds the span that an address lies in. */
export class SpanIndex<Value> {
  readonly #spans: readonly (Span & { readonly value: Value })[];

  constructor(spans: (Span & { readonly value: Value })[]) {
    this.#spans = spans.sort((a, b) => a.begin - b.begin);
  }

  /** The span that holds an address; of several the one that begins last. */
  find(rva: number): (Span & { readonly value: Value }) | undefined {
    const last = lastAtOrBelow(this.#spans.length, (index) => this.#spans[index]!.begin, rva);
    for (let index = last; index >= Math.max(0, last + 1 - OVERLAPS_MAX); index--) {
      if (rva < this.#spans[index]!.end) return this.#spans[index];
    }
    return undefined;
  }
}
