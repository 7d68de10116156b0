// The same input gives the same bits: on every instruction set, for any number of threads, in whatever batch
// an image sits, and from every compiler at every level of optimisation. The last is what the constants below
// are for: `make test` builds with gcc at -O2, `make test-clang` with clang at -O3 and `make asan` with gcc
// at -O1, and all must find them.
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "nn/models/cnn.hpp"
#include "nn/models/registry.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/hash.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/random.hpp"

#include <catch2/catch.hpp>
#include <functional>

namespace microtome {
namespace {

Tensor numbers(const Shape& shape, uint64_t sample, double low = -1) {
    Tensor result(Spec{shape, Dtype::f32, kCpu});
    fill_uniform({.seed = 7, .purpose = purpose_of("portable bits"), .sample = sample}, result, low, 1);
    return result;
}

// Calls `check` with every instruction set that this processor has forced in turn.
void on_every_set(const std::function<void(cpu::Isa)>& check) {
    for (cpu::Isa isa : {cpu::Isa::reference, cpu::Isa::avx2, cpu::Isa::avx512}) {
        if (!cpu::isa_available(isa)) continue;
        cpu::ForceIsa force(isa);
        INFO("instruction set " << cpu::isa_name(isa));
        check(isa);
    }
}

// The hash must be the same on every set, on 1 to 4 threads, and the one that other compilers found.
void expect_everywhere(const std::string& expected, const std::function<Tensor()>& calculate) {
    on_every_set([&](cpu::Isa) {
        for (int threads = 1; threads <= 4; ++threads) {
            ThreadLimit limit(threads);
            INFO(threads << " threads");
            CHECK(hex(hash_of(calculate())) == expected);
        }
    });
}

Tensor input_gradient(Module& model, const Tensor& x) {
    Tensor labels = Tensor::full({x.size(0)}, 1, Dtype::i64);
    Tape tape;
    tape.watch(x);
    return tape.gradient(cross_entropy(model(x), labels), x);
}

}  // namespace

// 300 and 4200 products cross a block and a slice of the order of summation; 67 and 83 leave edges to every
// tile.
TEST_CASE("matrix products have the same bits everywhere", "[bits]") {
    Tensor a = numbers({67, 300}, 1), b = numbers({300, 83}, 2);
    expect_everywhere("a50eb08418b3ab2e", [&] { return matmul(a, b); });
    Tensor c = numbers({3, 4200}, 3), d = numbers({5, 4200}, 4);
    expect_everywhere("d1413d2f82e02e9f", [&] { return matmul(c, d, Transpose::no, Transpose::yes); });
}

TEST_CASE("convolutions have the same bits everywhere", "[bits]") {
    Tensor x = numbers({3, 15, 17, 7}, 5), w = numbers({19, 3, 3, 7}, 6);
    ConvOptions options{
        .stride_h = 2, .stride_w = 1, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
    expect_everywhere("36e9516c03262f60", [&] { return conv2d(x, w, options); });
    Tensor g = numbers({3, 8, 17, 19}, 7);
    expect_everywhere("8fe83195d8971e64", [&] { return conv2d_input_gradient(g, w, 15, 17, options); });
    expect_everywhere("2bf270fbfdecb23a", [&] { return conv2d_weight_gradient(x, g, 3, 3, options); });
}

TEST_CASE("softmax, attention and functions have the same bits everywhere", "[bits]") {
    Tensor x = numbers({37, 101}, 8) * 9.0;
    expect_everywhere("6f2bf4efc10f8486", [&] { return softmax(x); });
    expect_everywhere("d59f3ab6215093ca", [&] { return gelu(x); });
    expect_everywhere("937da1851212cb7b", [&] { return sum(exp(x), {0}); });
    Tensor qkv = numbers({2, 19, 3 * 2 * 24}, 9);
    expect_everywhere("fc9714c9d6bc0f4c", [&] { return attention(qkv, 2); });
}

TEST_CASE("a network's logits and input gradient have the same bits everywhere", "[bits]") {
    Cnn cnn({.image = {.height = 44, .width = 47}, .channels = 5});
    cnn.initialize(1);
    Tensor x = numbers({3, 44, 47, 3}, 10, 0);
    expect_everywhere("8a4246fa1a58c74a", [&] { return cnn(x); });
    expect_everywhere("63ef920a7eef224b", [&] { return input_gradient(cnn, x); });
    auto vit = make_model("vit-small", {.classes = 3});
    vit->initialize(1);
    Tensor image = numbers({1, 32, 32, 3}, 11, 0);
    expect_everywhere("cd75de91fdc75084", [&] { return (*vit)(image); });
}

// The study's own network at its own size; on the reference set, which has no fused multiply-add, one image
// only. The sanitizers see the same code in two small batches, and take a minute for each image of reference.
TEST_CASE("an image's logits and gradient do not depend on its batch", "[bits]") {
    Cnn model;
    model.initialize(1);
    Tensor images = numbers({33, 180, 180, 3}, 12, 0);
    std::string logits, gradient;
    on_every_set([&](cpu::Isa isa) {
        for (int64_t batch : {1, 2, 3, 7, 32, 33}) {
            if (isa == cpu::Isa::reference && batch > 1) break;
#ifdef MICROTOME_SANITIZE
            if (isa == cpu::Isa::reference || batch > 2) break;
#endif
            INFO("batch " << batch);
            Tensor x = slice_rows(images, 33 - batch, 33);
            auto last = [](const Tensor& y) { return hex(hash_of(slice_rows(y, y.size(0) - 1, y.size(0)))); };
            std::string its_logits = last(model(x)), its_gradient = last(input_gradient(model, x));
            if (logits.empty()) logits = its_logits, gradient = its_gradient;
            CHECK(its_logits == logits);
            CHECK(its_gradient == gradient);
        }
    });
    CHECK(logits == "d4df515c9a03e76c");
    CHECK(gradient == "009e66f793097584");
}

}  // namespace microtome
