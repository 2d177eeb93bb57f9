import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import type { Action } from '../src/runner/action.js';
import type { Input } from '../src/runner/inputs.js';
import { actionNames, loadAction, ROOT } from './actions.js';
import { replacePart } from './markers.js';

/**
 * Everything that is generated from an action's declaration: all of actions/<name>/action.yml; the part between `<!--
 * <name> -->` and `<!-- /<name> -->` in actions/<name>/README.md; and the list of all actions in README.md. The README
 * also shows the workflow of examples/downstream.
 */

const GENERATED = '# Generated from src/actions/NAME.ts by `npm run build`.\n';

/** A composite action whose one step calls the bundle, each input as the variable that `core.getInput` reads. */
function actionYaml(name: string, action: Action): string {
  const inputs = Object.entries(action.inputs).flatMap(withAlias);
  const step = {
    name: titleOf(name),
    id: 'run',
    shell: 'bash',
    env: Object.fromEntries(inputs.flatMap(([input, spec]) => variablesOf(input, spec))),
    run: `node "$GITHUB_ACTION_PATH/../../dist/${name}/index.js"`,
  };
  const document = {
    name: titleOf(name),
    description: action.description,
    inputs: Object.fromEntries(inputs.map(([input, spec]) => [input, inputYaml(spec)])),
    outputs: Object.fromEntries(
      Object.entries(action.outputs).map(([output, description]) => [
        output,
        { description, value: `\${{ steps.run.outputs.${output} }}` },
      ]),
    ),
    runs: { using: 'composite', steps: [step] },
  };
  return GENERATED.replace('NAME', name) + stringify(document, { lineWidth: 0 });
}

/** The variable of an input. If its default is an expression, a second variable says whether the user kept the default. */
function variablesOf(input: string, spec: Input<unknown>): [string, string][] {
  const name = `INPUT_${input.toUpperCase()}`;
  const value: [string, string] = [name, `\${{ inputs.${input} }}`];
  const expression = /^\$\{\{ (.*) \}\}$/.exec(spec.default)?.[1];
  return expression === undefined
    ? [value]
    : [value, [`${name}-IS-DEFAULT`, `\${{ inputs.${input} == ${expression} }}`]];
}

/** An input, and its former name, which action.yml must declare to pass it on. */
function withAlias([name, input]: [string, Input<unknown>]): [string, Input<unknown>][] {
  if (input.alias === undefined) return [[name, input]];
  const former = {
    ...input,
    description: `The former name of \`${name}\``,
    default: '',
    absent: { value: undefined },
  };
  return [
    [name, input],
    [input.alias, former],
  ];
}

function inputYaml(input: Input<unknown>) {
  return { description: input.description, required: isRequired(input), default: input.default };
}

function isRequired(input: Input<unknown>): boolean {
  return input.absent === 'error' && input.default === '';
}

function titleOf(name: string): string {
  const words = name.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The generated part of an action's README: what it needs, its inputs and its outputs. */
function actionMarkdown(action: Action): string {
  const inputs = Object.entries(action.inputs).map(([name, input]) => {
    const value = isRequired(input) ? '**required**' : input.default === '' ? '' : `\`${cell(input.default)}\``;
    const former = input.alias === undefined ? '' : `; formerly \`${input.alias}\``;
    return `| \`${name}\` | ${cell(input.description)}${former} | ${value} |`;
  });
  const outputs = Object.entries(action.outputs).map(([name, text]) => `| \`${name}\` | ${cell(text)} |`);
  return [
    `${action.description}.`,
    '',
    `Needs: ${action.needs}`,
    '',
    '| input | what it is | default |',
    '| --- | --- | --- |',
    ...inputs,
    '',
    '| output | what it is |',
    '| --- | --- |',
    ...outputs,
  ].join('\n');
}

export async function actionFiles(): Promise<ReadonlyMap<string, string>> {
  const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
  const files = new Map<string, string>();
  const rows = ['| action | what it does |', '| --- | --- |'];
  for (const name of actionNames()) {
    const action = await loadAction(name);
    files.set(`actions/${name}/action.yml`, actionYaml(name, action));
    const page = `actions/${name}/README.md`;
    files.set(page, replacePart(read(page), name, actionMarkdown(action)));
    rows.push(`| [${name}](${page}) | ${cell(action.description)} |`);
  }
  const examples = {
    minimal: 'minimal/.github/workflows/ceph.yml',
    workflow: 'downstream/.github/workflows/promotion.yml',
  };
  const readme = Object.entries(examples)
    .filter(([, file]) => existsSync(path.join(ROOT, 'examples', file)))
    .reduce((text, [part, file]) => {
      return replacePart(text, part, `\`\`\`yaml\n${read(`examples/${file}`)}\`\`\``);
    }, read('README.md'));
  return files.set('README.md', replacePart(readme, 'actions', rows.join('\n')));
}
