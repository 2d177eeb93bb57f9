import { testProperties } from './properties.js';

// evaluate.properties.field.test.ts draws more.
testProperties(150);
