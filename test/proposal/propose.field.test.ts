import { describe } from '@jest/globals';
import { testChanges, testKills, testManyRuns } from './suite.js';

describe('a change on GitHub', () => testChanges('github'));
describe.each(['github', 'gitea'] as const)('many runs on %s', testManyRuns);
describe.each(['github', 'gitea'] as const)('killed on %s', testKills);
