#!/usr/bin/env python3
"""report.py FILE.json [--output FOLDER] [--store FOLDER]: tables and pictures of a run of nibble_bench.

--output  where report.md, roofline.svg and peers.svg go (build/bench)
--store   where a short result.json goes besides, as benchmarks/results holds them
"""
import argparse
import json
import os
import sys

import pictures
import results


def main():
    parser = argparse.ArgumentParser(description="Tables and pictures of a run of nibble_bench.")
    parser.add_argument("file")
    parser.add_argument("--output", default="build/bench", help="folder of report.md and the pictures")
    parser.add_argument("--store", help="folder of a short result.json and the pictures")
    options = parser.parse_args()
    run = results.load(options.file)
    if not run.rows:
        sys.exit(f"{options.file} has no benchmark")
    text = results.report(run)
    print(text)
    for folder in filter(None, (options.output, options.store)):
        try:
            os.makedirs(folder, exist_ok=True)
            files = {"roofline.svg": pictures.roofline(run), "peers.svg": pictures.peers(run)}
            if folder == options.store:
                with open(options.file, encoding="utf-8") as file:
                    files["result.json"] = results.stored(json.load(file))
            else:
                files["report.md"] = text
            for name, content in files.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(content)
        except OSError as error:
            sys.exit(f"{folder}: {error.strerror}: a folder is needed here")
        print(f"{folder} has {', '.join(files)}", file=sys.stderr)
    for row in run.rows.values():
        if row.wrong and not row.peer:
            print(f"{row.name}: {row.wrong}: please report it", file=sys.stderr)
    return any(row.wrong and not row.peer for row in run.rows.values())


if __name__ == "__main__":
    sys.exit(main())
