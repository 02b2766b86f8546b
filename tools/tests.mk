# Test and benchmark programs. VARIANT selects the flags and a tree of objects of its own under build/tests.
VARIANT ?= plain
OUT := $(BUILD)/tests/$(VARIANT)
ifeq ($(origin CXX),default)
CXX := g++
endif

WARN := -Wall -Wextra -Wpointer-arith -Werror
FLAGS_plain := -O1 -g -DSLAB_DEBUG
FLAGS_asan := -O1 -g -DSLAB_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan := -O1 -g -DSLAB_DEBUG -fsanitize=thread
FLAGS_coverage := -O0 -g -DSLAB_DEBUG --coverage
FLAGS_bench := -O2 -g -DNDEBUG
FLAGS_fuzz := -O1 -g -DSLAB_DEBUG -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAGS := $(FLAGS_$(VARIANT))
COMMON := -std=c++17 $(WARN) $(FLAGS) -I src -I tests -MMD -MP
# src is compiled as in the module; tests may use all of the language.
SRC_FLAGS := $(COMMON) -fno-exceptions -fno-rtti -fno-threadsafe-statics
# hiredis: its reader only, as in the module (config).
LIBS := -lcrypto -ljansson -l:libhiredis.a -lm -lpthread

SRCS := $(wildcard $(foreach d,base shm http cache,src/$(d)/*.cpp))
SUPPORT := $(wildcard tests/support/*.cpp)
UNIT := $(wildcard tests/unit/*/*_test.cpp)
STRESS := $(wildcard tests/stress/*.cpp)
CRASH := $(wildcard tests/crash/*.cpp)
BENCH := $(wildcard tests/bench/*.cpp)
FUZZ := $(wildcard tests/fuzz/*_fuzz.cpp)
TORTURE := $(wildcard tests/torture/*.cpp)

objs = $(patsubst %.cpp,$(OUT)/$(1)/%.o,$(2))
SRC_OBJS := $(call objs,o,$(SRCS))
SUPPORT_OBJS := $(call objs,o,$(SUPPORT))
# Programs that say `broken-twins: 1 2` are also built with -DSLAB_BROKEN_TWIN=n, and must then fail.
twins = $(shell sed -n 's/.*broken-twins: *\([0-9 ]*\).*/\1/p' $(1) | head -1)
STRESS_BINS := $(patsubst tests/stress/%.cpp,$(OUT)/stress/%,$(STRESS))
TWIN_BINS := $(foreach s,$(STRESS),$(foreach n,$(call twins,$(s)),$(OUT)/twin$(n)/$(notdir $(s:.cpp=))))
CRASH_BINS := $(patsubst tests/crash/%.cpp,$(OUT)/crash/%,$(CRASH))
BENCH_BINS := $(patsubst tests/bench/%.cpp,$(OUT)/bench/%,$(BENCH))
REPLAY_BINS := $(patsubst tests/fuzz/%.cpp,$(OUT)/replay/%,$(FUZZ))
TORTURE_BINS := $(patsubst tests/torture/%.cpp,$(OUT)/torture/%,$(TORTURE))
FUZZ_BINS := $(patsubst tests/fuzz/%.cpp,$(OUT)/fuzz/%,$(FUZZ))

.PHONY: test-programs unit-program bench-programs fuzz-programs torture-programs
.SECONDARY:
unit-program: $(if $(UNIT),$(OUT)/unit_tests)
torture-programs: $(TORTURE_BINS)
test-programs: unit-program torture-programs $(STRESS_BINS) $(TWIN_BINS) $(CRASH_BINS) $(REPLAY_BINS)
bench-programs: $(BENCH_BINS)
fuzz-programs: $(FUZZ_BINS)

define compile
	@mkdir -p $(@D)
	@echo "  CXX $(VARIANT) $<"
	@$(CXX) $(1) -c -o $@ $<
endef
define link
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CXX) $(FLAGS) $(1) -o $@ $(filter %.o,$^) $(2) $(LIBS)
endef

$(OUT)/o/src/%.o: src/%.cpp
	$(call compile,$(SRC_FLAGS))
$(OUT)/o/%.o: %.cpp
	$(call compile,$(COMMON))
$(OUT)/crash-o/src/%.o: src/%.cpp
	$(call compile,$(SRC_FLAGS) -DSLAB_CRASH_POINTS)
$(OUT)/crash-o/%.o: %.cpp
	$(call compile,$(COMMON) -DSLAB_CRASH_POINTS)

$(OUT)/unit_tests: $(SRC_OBJS) $(SUPPORT_OBJS) $(call objs,o,$(UNIT))
	$(call link,,-lgtest_main -lgtest)
$(OUT)/stress/%: $(OUT)/o/tests/stress/%.o $(SRC_OBJS) $(SUPPORT_OBJS)
	$(call link,,-lgtest_main -lgtest)
$(OUT)/crash/%: $(OUT)/crash-o/tests/crash/%.o $(call objs,crash-o,$(SRCS)) $(call objs,crash-o,$(SUPPORT))
	$(call link,,-lgtest_main -lgtest)
$(OUT)/bench/%: $(OUT)/o/tests/bench/%.o $(SRC_OBJS) $(SUPPORT_OBJS)
	$(call link,,-lbenchmark)
$(OUT)/torture/%: $(OUT)/o/tests/torture/%.o $(SRC_OBJS)
	$(call link,,)
$(OUT)/replay/%: $(OUT)/o/tests/fuzz/%.o $(OUT)/o/tools/fuzz_replay.o $(SRC_OBJS) $(SUPPORT_OBJS)
	$(call link,,)
$(OUT)/fuzz/%: $(OUT)/o/tests/fuzz/%.o $(SRC_OBJS) $(SUPPORT_OBJS)
	$(call link,-fsanitize=fuzzer,)

# The second twin is wrong only where something comes between two steps: there all dawdle now and then.
twin_flags = -DSLAB_BROKEN_TWIN=$(1)$(if $(filter 2,$(1)), -DSLAB_CRASH_POINTS)
define twin_rules
$(OUT)/twin$(1)-o/src/%.o: src/%.cpp
	$$(call compile,$(SRC_FLAGS) $(call twin_flags,$(1)))
$(OUT)/twin$(1)-o/%.o: %.cpp
	$$(call compile,$(COMMON) $(call twin_flags,$(1)))
$(OUT)/twin$(1)/%: $(OUT)/twin$(1)-o/tests/stress/%.o $(call objs,twin$(1)-o,$(SRCS)) $(call objs,twin$(1)-o,$(SUPPORT))
	$$(call link,,-lgtest_main -lgtest)
endef
$(foreach n,$(sort $(foreach s,$(STRESS),$(call twins,$(s)))),$(eval $(call twin_rules,$(n))))

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
