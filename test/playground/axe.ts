import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Axe {
  run(options: object): Promise<{ violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }>;
}

/** What is seriously wrong with a page, as it is now, for those who do not see it, or do not use a mouse. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: Axe }).axe.run({ resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/**
 * Holds that nothing is seriously wrong with a page that has come to rest: what slides or fades in covers and pales
 * the rest for a moment, which is nothing that anybody meets. What is wrong with a page stays wrong.
 */
export async function expectNoBarriers(page: Page, when?: string): Promise<void> {
  await expect.poll(() => barriers(page), { timeout: 10_000, ...(when && { message: when }) }).toEqual([]);
}
