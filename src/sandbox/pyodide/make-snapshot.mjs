// Prints the memory of an interpreter that has been started and has imported what most code imports. Pure Python only:
// a snapshot cannot hold binary extensions.
import { loadPyodide } from './pyodide/pyodide.mjs';

const here = import.meta.dirname;
const py = await loadPyodide({ indexURL: `${here}/pyodide/`, _makeSnapshot: true });
py.runPython(`
import ast, asyncio, base64, calendar, collections, csv, datetime, functools, io, itertools, json, linecache, math, os
import random, re, signal, stat, statistics, string, sys, textwrap, time, traceback, types
`);
const snapshot = py.makeMemorySnapshot();
let done = 0;
while (done < snapshot.length) done += Deno.stdout.writeSync(snapshot.subarray(done));
Deno.exit(0);
