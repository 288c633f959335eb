import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { QueryWatch } from '../../../src/handles/query/watch.ts';

/** A watch over queries whose sleeps end, and whose controls come back, when the test has them do so. */
class Watched {
  readonly blocked: string[] = [];
  controls = 0;
  rounds = 0;
  readonly #watch: QueryWatch<string>;
  #go: (() => void) | undefined;

  constructor(timeoutMs: number) {
    const pause = (): Promise<void> => new Promise((resolve) => (this.#go = resolve));
    this.#watch = new QueryWatch({
      timeoutMs,
      sleep: pause,
      askControl: () => (this.controls++, pause()),
      onRound: () => this.rounds++,
      onBlocked: (query) => this.blocked.push(query),
    });
  }

  async begin(...queries: readonly string[]): Promise<void> {
    for (const query of queries) this.#watch.begin(query);
    await turn();
  }

  end(query: string): void {
    this.#watch.end(query);
  }

  /** Ends the sleep, or has the control come back: whichever the watch waits for. */
  async step(): Promise<void> {
    this.#go?.();
    await turn();
  }

  async pass(rounds: number): Promise<void> {
    for (let step = 0; step < 2 * rounds; step++) await this.step();
  }
}

describe('a query', () => {
  it.each([
    [500, 10],
    [400, 8],
    [120, 3],
    [1, 1],
  ])('with a time-out of %i ms is blocked when it is out for %i rounds, and no sooner', async (timeoutMs, rounds) => {
    const all = new Watched(timeoutMs);
    await all.begin('a');
    await all.pass(rounds - 1);
    await all.step();
    expect(all.blocked).toEqual([]);
    await all.step();
    expect(all.blocked).toEqual(['a']);
    expect(all).toMatchObject({ rounds, controls: rounds });
  });

  it('is not blocked while no control comes back, however often the event loop turns', async () => {
    const all = new Watched(100);
    await all.begin('a');
    await all.step();
    for (let i = 0; i < 50; i++) await turn();
    expect(all).toMatchObject({ blocked: [], controls: 1, rounds: 0 });
  });

  it('is not blocked when it comes back in its last round', async () => {
    const all = new Watched(500);
    await all.begin('a');
    await all.pass(9);
    await all.step();
    all.end('a');
    await all.pass(5);
    expect(all.blocked).toEqual([]);
  });

  it('is out only for rounds that begin after it', async () => {
    const all = new Watched(200);
    await all.begin('early');
    await all.step(); // The sleep is over, and the control has begun.
    await all.begin('late');
    await all.step();
    await all.pass(3);
    expect(all.blocked).toEqual(['early']);
    await all.pass(1);
    expect(all.blocked).toEqual(['early', 'late']);
  });
});

describe('controls', () => {
  it('serve all queries that are out', async () => {
    const all = new Watched(200);
    const names = Array.from({ length: 64 }, (_, index) => `query ${index}`);
    await all.begin(...names);
    all.end('query 7');
    await all.pass(4);
    expect(all).toMatchObject({ blocked: names.filter((name) => name !== 'query 7'), controls: 4 });
  });

  it('are asked only while queries are out that may be blocked', async () => {
    const all = new Watched(100);
    await all.pass(2);
    expect(all.controls).toBe(0);
    await all.begin('blocked');
    await all.pass(5);
    expect(all).toMatchObject({ blocked: ['blocked'], controls: 2 });
    await all.begin('next');
    await all.pass(1);
    all.end('next');
    await all.pass(5);
    expect(all).toMatchObject({ blocked: ['blocked'], controls: 4 });
  });
});
