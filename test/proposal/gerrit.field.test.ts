import { describe } from '@jest/globals';
import { testManyReviews, testReviewKills, testReviews } from './gerrit-suite.js';

testReviews();
describe('many runs on Gerrit', testManyReviews);
describe('killed', testReviewKills);
