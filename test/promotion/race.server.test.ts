import { testRace } from './race.js';

// Each kind of round once.
testRace(3);
