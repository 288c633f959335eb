import { helpOf, ruleNames, rules } from '../../rules.ts';
import type { Report } from '../../model.ts';

/** The tool and its rules, in the order of {@link ruleNames}. A page on the web, for `helpUri`, there is not yet. */
export function describeDriver({ tool }: Report): object {
  return {
    name: tool.name,
    version: tool.version,
    semanticVersion: tool.version,
    rules: ruleNames.map((id) => {
      const { title, description, levels, meaning, consequence, remedy, documentation } = rules[id];
      const source = `More in ${documentation}, in the tool's package.`;
      return {
        id,
        name: id.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase()),
        shortDescription: { text: plain(title) },
        fullDescription: { text: plain(description) },
        help: {
          text: plain([meaning, consequence, remedy, source].join('\n\n')),
          markdown: `${helpOf(id)}\n${source}\n`,
        },
        defaultConfiguration: { level: levels[0] },
        properties: { tags: ['correctness', 'resource-leak', 'windows'] },
      };
    }),
  };
}

/** Without the backticks of Markdown, and with the braces of SARIF. */
function plain(markdown: string): string {
  return markdown.replaceAll('`', '').replaceAll('{', '{{').replaceAll('}', '}}');
}
