// A whole study report with made-up numbers: for tests, and to look at (set MICROTOME_SAMPLE_REPORT to a path
// and run the test "the sample report can be written for looking at").
#pragma once

#include "report/study_report.hpp"

microtome::report::StudyReport sample_report();

// A smooth picture with some texture, f32 (size,size,3).
microtome::Tensor sample_image(int64_t size, int which);
