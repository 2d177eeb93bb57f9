import { describe } from '@jest/globals';
import { testManyReviews, testReviewKills } from './gerrit-suite.js';

describe('many runs on Gerrit', testManyReviews);
describe('killed', testReviewKills);
