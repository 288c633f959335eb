import type { CountedGap } from '../../completeness.ts';

/** A counter of the header. */
export type CounterName =
  | 'beyondCapacity'
  | 'droppedStacks'
  | 'droppedMisuses'
  | 'unresolvedDuplicates'
  | 'slowWalks'
  | 'walkMismatches'
  | 'nestedWalks'
  | 'gateState'
  | 'exiting'
  | 'callsElsewhere'
  | 'childrenUnfollowed'
  | 'imageCount'
  | 'functionsMissed'
  | 'functionsBlocked'
  | 'quarantineLost'
  | 'droppedRuntimeObjects'
  | 'inheritedCut'
  | 'sweptDropped'
  | 'standaloneObjects'
  | 'misuseRecords';

/** The counters of what was missed. */
export const countedGaps: readonly (readonly [CounterName, CountedGap])[] = [
  ['functionsMissed', 'functions-missed'],
  ['functionsBlocked', 'functions-blocked'],
  ['childrenUnfollowed', 'children-unfollowed'],
  ['beyondCapacity', 'beyond-capacity'],
  ['droppedStacks', 'stacks-dropped'],
  ['droppedMisuses', 'misuses-dropped'],
  ['unresolvedDuplicates', 'duplicates-unresolved'],
  ['droppedRuntimeObjects', 'runtime-objects-dropped'],
  ['quarantineLost', 'quarantine-lost'],
  ['nestedWalks', 'nested-walks'],
  ['sweptDropped', 'swept-dropped'],
];
