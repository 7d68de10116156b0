// Every op, for programs that use many. Files of the library include the families they need.
#pragma once

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/attention.hpp"
#include "autograd/ops/comparison.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/dropout.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/image.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/normalization.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/ops/softmax.hpp"
