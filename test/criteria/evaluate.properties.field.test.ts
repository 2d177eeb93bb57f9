import { testProperties } from './properties.js';

testProperties(5000);
