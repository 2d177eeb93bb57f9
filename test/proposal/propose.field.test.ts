import { describe } from '@jest/globals';
import { testChanges, testKills, testManyRuns } from './suite.js';

describe.each(['github', 'gitea'] as const)('a change on %s', testChanges);
describe.each(['github', 'gitea'] as const)('many runs on %s', testManyRuns);
describe.each(['github', 'gitea'] as const)('killed on %s', testKills);
