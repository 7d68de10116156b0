// Teaches a tiny network discs from squares, then asks for the gradient of one image
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "data/image.hpp"
#include "nn/layers.hpp"
#include "nn/optimizers.hpp"

#include <iostream>
using namespace microtome;

int main() {
    Tensor images = Tensor::full({64, 32, 32, 1}, 0.3), labels = Tensor::zeros({64}, Dtype::i64);
    for (int i = 0; i < 64 * 32 * 32; ++i) {  // a disc (class 0) or a square (class 1), somewhere
        int n = i / 1024, x = i % 32 - 9 - 5 * n % 14, y = i / 32 % 32 - 9 - 3 * n % 14;
        bool inside = n % 2 ? std::max(std::abs(x), std::abs(y)) < 6 : x * x + y * y < 46;
        if (inside) images.mutable_data<float>()[i] = 0.7f;
        labels.mutable_data<int64_t>()[n] = n % 2;
    }
    Sequential model;
    model.then<Conv2d>(1, 8).then<Relu>().then<MaxPool2d>(2).then<Flatten>().then<Linear>(8 * 15 * 15, 2);
    model.initialize(1);
    Adam adam(model, {.lr = 0.003});
    for (int step = 1; step <= 60; ++step) {
        Tape tape;
        tape.watch(model.parameters());  // training wants the gradient of the weights ...
        Tensor loss = mean(cross_entropy(model(images), labels));
        adam.step(tape.gradient(loss, model.parameters()));
        if (step % 20 == 0) std::cout << "step " << step << ", loss " << loss.item() << '\n';
    }
    Tensor image = slice(images, 0, 0, 1), label = slice(labels, 0, 0, 1);
    Tape tape;
    tape.watch(image);  // ... an attack wants that of the image
    Tensor gradient = tape.gradient(cross_entropy(model(image), label), image);
    tape.print(std::cout);
    Tensor step = sign(gradient) * (32 / 255.0), attacked = clamp(image + step, 0, 1);  // FGSM
    std::cout << "disc, square: " << model(image) << "\nattacked:     " << model(attacked) << '\n';
    auto save = [&](auto name, Tensor x) { write_png(name, reshape(x, Shape{32, 32, 1})); };
    save("original.png", image), save("gradient.png", gradient / max(abs(gradient)) * 0.5 + 0.5);
    save("perturbation.png", step + 0.5), save("attacked.png", attacked);
}
