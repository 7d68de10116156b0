// A program outside the tree: one fast-gradient-sign step against a linear classifier, on the installed
// headers and library.
#include <iostream>
#include <microtome/autograd/ops/arithmetic.hpp>
#include <microtome/autograd/ops/elementwise.hpp>
#include <microtome/autograd/ops/linear.hpp>
#include <microtome/autograd/ops/reductions.hpp>
#include <microtome/autograd/tape.hpp>

using namespace microtome;

// -log softmax(logits)[0], written out: three classes, two features.
Tensor loss_of(const Tensor& x) {
    Tensor weights = Tensor::of<float>({1, -2, 0, 0.5f, 1, 0}, {2, 3});
    Tensor label = Tensor::of<float>({1, 0, 0}, {1, 3});
    Tensor logits = matmul(x, weights);
    return log(sum(exp(logits))) - sum(logits * label);
}

int main() {
    Tensor image = Tensor::of<float>({0.5f, 0.25f}, {1, 2});

    Tape tape;
    Tensor x = tape.watch(image);
    Tensor loss = loss_of(x);
    Tensor gradient = tape.gradient(loss, x);
    std::cout << "loss " << loss << ", gradient " << gradient << '\n';

    // A small step against each sign must raise the loss: that is the whole idea of an attack.
    Tensor adversarial = image.clone();
    for (int i = 0; i < 2; ++i)
        adversarial.mutable_data<float>()[i] += gradient.data<float>()[i] > 0 ? 0.05f : -0.05f;
    Tensor worse = loss_of(adversarial);
    std::cout << "after the step " << worse << '\n';
    return worse.item() > loss.item() ? 0 : 1;
}
