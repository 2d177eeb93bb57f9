import { testRace } from './race.js';

testRace(20);
