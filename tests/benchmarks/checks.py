#!/usr/bin/env python3
"""checks.py: what benchmarks/*.py makes of results, and that the tables in the documents are those of benchmarks/results."""
import itertools
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

root = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(root / "benchmarks"))
import compare  # noqa: E402
import pages  # noqa: E402
import pictures  # noqa: E402
import results  # noqa: E402

OWN = "gemv/float_x_int8/avx512vnni/m:1/n:4096/k:4096/threads:1/memory/real_time"
ORT = "gemv/float_x_int8/peer:onnxruntime/DynamicQuantizeMatMul/m:1/n:4096/k:4096/threads:1/memory/real_time"
READ = "gemv/float_x_int8/limit:read/m:1/n:4096/k:4096/threads:1/memory/real_time"


def repetitions(name, times, size=16e6, **more):
    """As Google Benchmark writes them: times in microseconds, so many bytes each."""
    return [dict({"name": name, "run_type": "iteration", "repetition_index": i, "real_time": t, "cpu_time": t, "time_unit": "us",
                  "ops": 2 * 4096 ** 2 / (t * 1e-6), "bytes": size / (t * 1e-6)}, **more) for i, t in enumerate(times)]


def run_of(*rows, **context):
    context = dict({"cpu": "a CPU", "load_avg": [0.1, 0.1, 0.1]}, **context)
    return results.Run({"context": context, "benchmarks": list(itertools.chain(*rows))})


class Marks(unittest.TestCase):
    def test_names(self):
        row = results.Row(ORT)
        self.assertEqual((row.family, row.what, row.peer, row.kernel, row.shape, row.threads, row.memory),
                         ("gemv", "float_x_int8", "onnxruntime", "DynamicQuantizeMatMul", "m:1/n:4096/k:4096", 1, True))

    def test_more_than_can_be_read_is_not_from_memory(self):
        # 16 MB in 400 us are 40 GB/s, in 200 us 80. The best of the loop's repetitions counts.
        run = run_of(repetitions(OWN, [400] * 5), repetitions(ORT, [200] * 5), repetitions(READ, [450, 410, 400, 420, 430]))
        self.assertEqual(run.rows[OWN].marks, [])
        self.assertEqual(run.rows[ORT].marks, ["not from memory"])
        self.assertIsNone(run.fastest_peer(run.rows[OWN]))  # and is left out of ratios
        own = run_of(repetitions(OWN, [200] * 5), repetitions(ORT, [500] * 5), repetitions(READ, [400] * 5))
        self.assertIsNone(own.fastest_peer(own.rows[OWN]))  # nibble's own row neither
        slower = run_of(repetitions(OWN, [400] * 5), repetitions(ORT, [500] * 5), repetitions(READ, [400] * 5))
        self.assertEqual(slower.fastest_peer(slower.rows[OWN]).name, ORT)
        self.assertIn("1.25", results.report(slower))

    def test_limit_of_the_context(self):
        run = run_of(repetitions(ORT, [200] * 5), **{"limit read, memory, threads:1": "4.2e+10"})
        self.assertEqual(run.rows[ORT].marks, ["not from memory"])
        self.assertEqual(run_of(repetitions(ORT, [200] * 5)).rows[ORT].marks, [])  # nothing to compare with

    def test_wrong_peer_is_left_out(self):
        wrong = [{"name": ORT, "run_type": "iteration", "repetition_index": 0, "error_occurred": True,
                  "error_message": "WRONG: 312 of 4096 sums of row 0, by up to 7"}]
        run = run_of(repetitions(OWN, [400] * 5), wrong)
        self.assertIsNone(run.fastest_peer(run.rows[OWN]))
        text = results.report(run)
        self.assertIn("WRONG: 312 of 4096 sums", text)
        pictures.peers(run)

    def test_spread(self):
        run = run_of(repetitions(OWN, [400, 390, 410, 300, 600, 405, 395]), repetitions(ORT, [400, 300, 500, 250, 600, 700, 390]))
        self.assertEqual(run.rows[OWN].marks, [])  # single repetitions may be far off
        self.assertTrue(run.rows[ORT].marks[0].startswith("noisy"))

    def test_threads_that_slow_a_peer_down(self):
        two = [name.replace("threads:1", "threads:2") for name in (OWN, ORT)]
        run = run_of(repetitions(OWN, [400] * 5), repetitions(ORT, [500] * 5), repetitions(two[0], [250] * 5),
                     repetitions(two[1], [800] * 5))
        self.assertEqual(run.rows[two[1]].marks, ["slower than with one thread"])
        peer = run.fastest_peer(run.rows[two[0]])  # it counts as with one
        self.assertEqual((peer.name, peer.time), (ORT, run.rows[ORT].time))
        self.assertIn("slower than with one thread: ONNX Runtime", results.report(run))

    def test_busy_machine(self):
        self.assertIn("1.5 CPUs busy", results.report(run_of(repetitions(OWN, [400] * 5), busy_cpus="1.5")))
        self.assertNotIn("busy:", results.report(run_of(repetitions(OWN, [400] * 5), busy_cpus="0.1")))

    def test_memory_that_is_a_cache(self):
        limits = {"limit read, memory, threads:1": "4.2e+10", "limit read, half_memory, threads:1": "6e+10"}
        self.assertIn("Half of the memory", results.report(run_of(repetitions(OWN, [400] * 5), **limits)))
        limits["limit read, half_memory, threads:1"] = "4.3e+10"
        self.assertNotIn("Half of the memory", results.report(run_of(repetitions(OWN, [400] * 5), **limits)))

    def test_stored_results_say_the_same(self):
        import json
        content = {"context": {"cpu": "a CPU", "host_name": "secret"}, "benchmarks": repetitions(OWN, [400.123456, 390, 410])}
        short = json.loads(results.stored(content))
        self.assertNotIn("secret", str(short))
        self.assertAlmostEqual(results.Run(short).rows[OWN].time, results.Run(content).rows[OWN].time, delta=1e-7)


class Comparison(unittest.TestCase):
    def test_mann_whitney(self):
        # Worked values: the ends of the distribution of U for 5 and 5 values are 2 / 252.
        self.assertAlmostEqual(compare.mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 2 / 252)
        self.assertAlmostEqual(compare.mann_whitney([1, 3, 5], [2, 4, 6]), 0.7)
        self.assertGreater(compare.mann_whitney([1, 1, 1], [1, 1, 1]), 0.9)
        self.assertLess(compare.mann_whitney([1.0] * 9, [2.0] * 9), 0.001)

    def test_ratios_and_noise(self):
        a, b = run_of(repetitions(OWN, [400, 401, 402, 403, 404])), run_of(repetitions(OWN, [200, 201, 202, 203, 204]))
        text, classes = compare.compare([a, b], ["a", "b"])
        self.assertAlmostEqual(classes["float_x_int8, 1 thread"][0][0], 2, delta=0.02)
        self.assertNotIn("noise", text.split("\n\n")[1].split("\n")[-1])
        text, _ = compare.compare([a, run_of(repetitions(OWN, [401, 402, 400, 404, 403]))], ["a", "b"])
        self.assertIn("1.000", text)
        self.assertIn("noise", text)
        self.assertIn("</svg>", pictures.comparison(["a", "b"], classes))

    def test_other_backends(self):
        amx = run_of(repetitions(OWN.replace("avx512vnni", "avx512amx"), [200] * 5))
        _, classes = compare.compare([run_of(repetitions(OWN, [400] * 5)), amx], ["a", "b"])
        self.assertAlmostEqual(classes["float_x_int8, 1 thread"][0][0], 2)


class Pages(unittest.TestCase):
    def test_tables_are_those_of_the_results(self):
        self.assertEqual(pages.stale(), [], "benchmarks/pages.py --write makes them")

    def test_a_stale_table_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text("before\n<!-- results of nowhere -->\nold\n<!-- end -->\nafter\n")
            tables = {"nowhere": "| new |\n"}
            self.assertEqual(pages.stale([page], tables), [str(page)])
            pages.write([page], tables)
            self.assertEqual(page.read_text(), "before\n<!-- results of nowhere -->\n\n| new |\n\n<!-- end -->\nafter\n")
            self.assertEqual(pages.stale([page], tables), [])


class Programs(unittest.TestCase):
    def refuses(self, words, *command):
        said = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn(words, said.stderr)
        self.assertNotIn("Traceback", said.stderr)

    def test_refusals(self):
        folder = root / "benchmarks"
        with tempfile.TemporaryDirectory() as here:
            other = Path(here) / "other.json"
            other.write_text("[1]")
            self.refuses("Is a directory", str(folder / "compare.py"), here, here)
            self.refuses("two files", str(folder / "compare.py"), here)
            self.refuses("No such file", str(folder / "report.py"), str(Path(here) / "none"))
            self.refuses("is no result of ./go bench", str(folder / "report.py"), str(other))


# With a program at hand: every kernel has a benchmark that exists, and a run has the form that all of this reads.
PROGRAM = os.environ.get("NIBBLE_BENCH", "")


@unittest.skipUnless(PROGRAM, "NIBBLE_BENCH names no nibble_bench")
class Program(unittest.TestCase):
    def test_every_kernel_has_a_benchmark(self):
        import re
        listed = subprocess.run([PROGRAM, "--peers", "none", "--benchmark_list_tests"], capture_output=True, text=True, check=True)
        names = listed.stdout.split()
        lines = re.findall(r'^    \{"(\w+)", "([\w/]+/)"\},$', (root / "benchmarks/kernels.hpp").read_text(), re.M)
        self.assertGreater(len(lines), 50)
        for kernel, benchmark in lines:
            self.assertTrue(any(name.startswith(benchmark) for name in names), f"{kernel}: there is no {benchmark}")

    def test_a_run(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "a.json")
            subprocess.run([PROGRAM, "--peers", "none", "--shape", "3x64x64", "--threads", "1", "--benchmark_repetitions=3",
                            "--benchmark_min_time=0.001", "--benchmark_filter=gemm/float_x_(int8|int4_g32)/", f"--benchmark_out={file}"],
                           check=True, capture_output=True)
            run = results.load(file)
            self.assertTrue(run.rows)
            for row in run.rows.values():
                self.assertEqual((row.wrong, len(row.times)), ("", 3))
                self.assertGreater(row.get("ops"), 0)
            self.assertIn("busy_cpus", run.context)
            self.assertGreater(run.limit("read, memory", 1), 0)
            text, _ = compare.compare([run, run], ["a", "a"])
            self.assertIn("1.000", text)
            results.report(run)


if __name__ == "__main__":
    unittest.main()
