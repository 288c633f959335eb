// The page of the html reporter in Chromium, where that is installed: it loads nothing, fits its window, can be used
// with a keyboard and without scripts, and has nothing that axe-core finds fault with.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { html } from '../../../dist/report/formats/html.js';
import { clean, full, hostile, large } from './reports.js';

/** @import { Browser, BrowserContextOptions, Page } from 'playwright-core' */

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const pages = { full, clean, hostile, large };
const sizes = [400, 1000, 1600];
/** Opens everything that is folded. Functions for the page are texts: the types here know no browser. */
const unfoldAll = "document.querySelectorAll('details').forEach((each) => { each.open = true; })";
const schemes = /** @type {const} */ (['light', 'dark']);

describe('the page in a browser', { skip: executablePath === undefined && 'Chromium is not installed' }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-page-'));
  /** @type {Browser} */
  let browser;

  before(async () => {
    for (const [name, report] of Object.entries(pages)) {
      const source = Array.from({ length: 20 }, (_, line) => `  line ${line} <b>${'x'.repeat(200)}`);
      const options = { colorLevel: /** @type {const} */ (0), columns: 80, showNotes: true, showSuppressed: true };
      writeFileSync(join(directory, `${name}.html`), html(report, { ...options, readSource: () => source }));
    }
    // Without a sandbox of its own it runs as root, too; it sees nothing but these pages.
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  });
  after(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true });
  });

  /**
   * Opens a page, and notes what should not be.
   *
   * @param {string} name
   * @param {BrowserContextOptions} options
   * @returns {Promise<{ page: Page, faults: string[] }>}
   */
  async function open(name, options = {}) {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    const address = pathToFileURL(join(directory, `${name}.html`)).href;
    /** @type {string[]} */
    const faults = [];
    page.on('console', (message) => faults.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (request.url() !== address) faults.push(`request: ${request.url()}`);
    });
    await page.goto(address);
    return { page, faults };
  }

  for (const name of Object.keys(pages)) {
    it(`loads nothing, complains of nothing and fits windows of every width: ${name}`, async () => {
      for (const width of sizes) {
        const { page, faults } = await open(name, { viewport: { width, height: 900 } });
        await page.evaluate(unfoldAll);
        const excess = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
        assert.deepEqual({ width, excess, faults }, { width, excess: Math.min(excess, 0), faults: [] });
        await page.context().close();
      }
    });
  }

  for (const name of ['full', 'clean', 'hostile']) {
    it(`has nothing that axe-core finds fault with: ${name}`, async () => {
      for (const colorScheme of schemes) {
        const { page } = await open(name, { colorScheme, viewport: { width: 1000, height: 900 } });
        await page.evaluate(unfoldAll);
        await page.evaluate(axe.source);
        /** @type {{ violations: { id: string, nodes: { html: string }[] }[] }} */
        const { violations: found } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
        const violations = found.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 80)).join(' ')}`,
        );
        assert.deepEqual({ colorScheme, violations }, { colorScheme, violations: [] });
        await page.context().close();
      }
    });
  }

  it('leads with the first key to a link past the head, and with further ones to a stack that Enter opens', async () => {
    const { page } = await open('full');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate("document.activeElement?.getAttribute('href')"), '#main');
    const summary = page.locator('.stack > summary').first();
    await summary.focus();
    await page.keyboard.press('Enter');
    assert.ok(await page.locator('.stack .frames').first().isVisible());
    await page.locator('.flame a').first().focus();
    assert.match((await page.locator('#frame').textContent()) ?? '', /handles?, [\d.]+ %$/);
    await page.context().close();
  });

  it('shows its findings, its stacks and a choice of levels without scripts', async () => {
    const { page } = await open('full', { javaScriptEnabled: false });
    assert.equal(await page.locator('.card:visible').count(), 4);
    assert.ok(!(await page.locator('#search').isVisible()));
    await page.locator('.stack > summary').first().click();
    assert.ok(await page.locator('.stack .source').first().isVisible());
    await page.locator('#show-error').uncheck();
    await page.locator('#show-note').uncheck();
    assert.deepEqual(await page.locator('.card:visible .badge').allTextContents(), ['warning', 'suppressed']);
    await page.context().close();
  });

  it('finds findings by words, and opens and closes all stacks', async () => {
    const { page, faults } = await open('large');
    await page.locator('#search').fill('leak function_4 ');
    await page.locator('#matches:not(:empty)').waitFor();
    const shown = await page.locator(':is(.card, #others tr[class]):visible').allTextContents();
    assert.ok(shown.length > 0 && shown.length < 400);
    assert.deepEqual(
      shown.filter((text) => !/leak/.test(text) || !/function_4/.test(text)),
      [],
    );
    await page.locator('#search').fill('');
    await page.locator('#matches:empty').waitFor({ state: 'attached' });
    await page.locator('#unfold').click();
    assert.equal(await page.locator('.stack:not([open])').count(), 0);
    await page.locator('#unfold').click();
    assert.equal(await page.locator('.stack[open]').count(), 0);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  it('looks closer at a part of the graph, and goes back', async () => {
    const { page, faults } = await open('full');
    const widths = () =>
      page.locator('.flame a > svg').evaluateAll((boxes) => boxes.map((box) => box.getAttribute('width')));
    const before = await widths();
    const narrow = page.locator('.flame a.own', { has: page.locator('title', { hasText: 'open_log' }) });
    await narrow.click();
    assert.equal(await narrow.locator('svg').getAttribute('width'), '100%');
    await narrow.click();
    assert.match(page.url(), /#finding-2222222222222222$/);
    await page.locator('#whole').click();
    assert.deepEqual(
      (await widths()).map((width) => Number.parseFloat(width ?? '')),
      before.map((width) => Number.parseFloat(width ?? '')),
    );
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  it('prints its stacks in light colours, whatever the screen has', async () => {
    const { page } = await open('full', { colorScheme: 'dark' });
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    assert.ok(await page.locator('.stack .source').first().isVisible());
    assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)');
    assert.ok(!(await page.locator('.filter').isVisible()));
    await page.context().close();
  });
});
