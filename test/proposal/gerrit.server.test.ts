import { testReviews } from './gerrit-suite.js';

testReviews();
