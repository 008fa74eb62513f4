import { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { count } from '../count.ts';

export const checkCommand = (cli: Cli): Command =>
  new Command('check')
    .description('check a definition; needs no service')
    .argument('<file>', 'YAML or JSON file')
    .action(async (file: string) => {
      const { readDefinitionFile } = await import('../readDefinitionFile.ts');
      const { definition } = readDefinitionFile(cli.terminal, file);
      cli.terminal.out(`${file}: ${definition.name} is valid, ${count(Object.keys(definition.tasks).length, 'task')}\n`);
    });
