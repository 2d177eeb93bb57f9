import { testEdits } from './suite.js';

testEdits();
