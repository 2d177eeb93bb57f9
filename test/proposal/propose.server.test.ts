import { describe } from '@jest/globals';
import { testChanges, testEdits } from './suite.js';

describe('a change on Gitea', () => testChanges('gitea'));
testEdits();
