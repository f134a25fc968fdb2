// SPDX-License-Identifier: Apache-2.0
// The alerts of config/watching, run by Prometheus' own promtool; that each has a runbook, that the dashboard and the
// rules ask for metrics that there are.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goTool } from '../../scripts/go-tools.ts';
import { type Manifest, manifestsOf, ofKind, theOne } from '../../scripts/manifests.ts';
import { root, run } from '../../scripts/steps.ts';

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  annotations?: Record<string, string>;
}

const manifests = manifestsOf('config/watching');
const { groups } = theOne(manifests, 'PrometheusRule', 'fast')['spec'] as { groups: Array<{ rules: Rule[] }> };
const rules = groups.flatMap((group) => group.rules);
const alerts = rules.filter((rule) => rule.alert !== undefined);
const tests = readFileSync(join(root, 'test/ship/rules.yaml'), 'utf8');
const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'fast-rules-'));

let promtool = '';
beforeAll(async () => {
  promtool = await goTool('promtool');
  writeFileSync(join(folder, 'rules.yaml'), dump({ groups }));
});
afterAll(() => rmSync(folder, { recursive: true }));

function runTests(text: string): Promise<string> {
  writeFileSync(join(folder, 'tests.yaml'), text);
  return run(promtool, ['test', 'rules', 'tests.yaml'], { cwd: folder });
}

describe('the alerts', () => {
  it('are rules that Prometheus takes', async () => {
    expect(
      await run(promtool, ['check', 'rules', '--lint=all', '--lint-fatal', 'rules.yaml'], { cwd: folder }),
    ).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it('fire where they should and nowhere else', async () => {
    expect(await runTests(tests)).toContain('SUCCESS');
  });

  it('are tested for real: a node that is well is not taken for a bad one', async () => {
    await expect(
      runTests(tests.replace('node="well"}\', values: 100x60', 'node="well"}\', values: 1000x60')),
    ).rejects.toThrow('FastMapFilling');
  });

  it('are each named in a test, and have a runbook', () => {
    const runbooks = readFileSync(join(root, 'docs/runbooks.md'), 'utf8');
    const sections = [...runbooks.matchAll(/^## (\w+)$/gm)].map((match) => match[1] ?? '');
    expect(sections.toSorted()).toEqual(alerts.map((rule) => rule.alert ?? '').toSorted());
    for (const { alert = '', annotations } of alerts) {
      expect(tests).toContain(alert);
      expect(annotations?.['runbook_url']).toMatch(new RegExp(`#${alert.toLowerCase()}$`));
    }
  });
});

/** The metrics that an expression asks for. */
function metricsIn(expr: string): string[] {
  const names = expr.match(/\b(?:fast|leader|controller_runtime|workqueue|rest_client|process|nodejs)_[a-z_]+/g) ?? [];
  return names.map((name) => name.replace(/_(?:bucket|count|sum)$/, ''));
}

describe('what is asked for', () => {
  it('by the rules is a metric that the page of metrics has', () => {
    const unknown = rules.flatMap((rule) => metricsIn(rule.expr)).filter((name) => !page.includes(`\`${name}\``));
    expect(unknown).toEqual([]);
  });

  it('by the dashboard too, and every panel has a title and a description', () => {
    const [config] = ofKind(manifests, 'ConfigMap') as Array<Manifest & { data: Record<string, string> }>;
    const { panels } = JSON.parse(config?.data['fast.json'] ?? '') as {
      panels: Array<{ title: string; description: string; targets: Array<{ expr: string }> }>;
    };
    expect(panels.length).toBeGreaterThan(8);
    expect(panels.filter((panel) => panel.title === '' || panel.description === '')).toEqual([]);
    const asked = panels.flatMap((panel) => panel.targets.flatMap((target) => metricsIn(target.expr)));
    expect(asked.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it('by the ServiceMonitors is a port of a Service', () => {
    for (const monitor of ofKind(manifests, 'ServiceMonitor')) {
      const service = theOne(manifests, 'Service', `${monitor.metadata.name}-metrics`);
      const { selector } = monitor['spec'] as { selector: { matchLabels: Record<string, string> } };
      expect(service.metadata.labels).toEqual(selector.matchLabels);
    }
  });
});
