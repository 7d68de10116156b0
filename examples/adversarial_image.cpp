// From dL/dx to an adversarial image, step by step: docs/tutorial.md explains every line.
#include "attacks/pgd.hpp"
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "data/image.hpp"
#include "data/loader.hpp"
#include "data/tissue.hpp"
#include "nn/classifier.hpp"
#include "nn/models/registry.hpp"
#include "nn/optimizers.hpp"
#include "training/trainer.hpp"

#include <iomanip>
#include <iostream>

using namespace microtome;

int main() {
    // 1. A classifier.
    TissueDataset tissue({.per_class = 40, .size = 48});
    std::vector<int64_t> train, test;
    for (int64_t i = 0; i < tissue.size(); ++i)
        (tissue.samples()[i].part == "test" ? test : train).push_back(i);
    Loader batches(tissue, train, {.batch = 16, .shuffle = true});

    ModelOptions options =
        complete_options("resnet-small", {.classes = 5, .image = {.height = 48, .width = 48}});
    std::unique_ptr<Module> model = make_model("resnet-small", options);
    model->initialize(1);
    Adam adam(*model, {.lr = 2e-3});
    Trainer(*model, adam, {.epochs = 8, .out = &std::cout}).run(batches);

    // 2. An image it is right about, and the loss there.
    Loader one_by_one(tissue, test, {.batch = 1});
    one_by_one.start(0);
    Tensor x, y;
    while (std::optional<Batch> batch = one_by_one.next()) {
        x = batch->images, y = batch->targets;
        if (margin((*model)(x), y).item() > 1) break;  // the right class wins by more than 1
    }
    auto say = [&](const std::string& what, const Tensor& image) {
        Tensor logits = (*model)(image);
        std::cout << std::left << std::setw(28) << what << "loss " << cross_entropy(logits, y).item()
                  << ", margin " << margin(logits, y).item() << '\n';
    };
    say("the image", x);

    // 3. dL/dx: how the loss answers to each value of the image.
    auto gradient_at = [&](const Tensor& image) {
        Tape tape;
        Tensor watched = image.view(image.shape());
        tape.watch(watched);
        return tape.gradient(cross_entropy((*model)(watched), y), watched);
    };
    Tensor g = gradient_at(x);

    // 4. One value moved by hand: does the gradient tell the truth?
    std::span<const float> slopes = g.data<float>();
    std::size_t steepest = 0;
    for (std::size_t i = 0; i < slopes.size(); ++i)
        if (std::abs(slopes[i]) > std::abs(slopes[steepest])) steepest = i;
    Tensor moved = x.clone();
    const float h = 1e-3f;
    moved.mutable_data<float>()[steepest] += h;
    double rise = cross_entropy((*model)(moved), y).item() - cross_entropy((*model)(x), y).item();
    std::cout << "steepest value: gradient " << slopes[steepest] << ", measured " << rise / h << '\n';

    // 5. One step for all values at once: the fast gradient sign method.
    const double epsilon = 8 / 255.0;
    Tensor fgsm = clamp(x + sign(g) * epsilon, 0, 1);
    say("one step, 8/255", fgsm);

    // 6. Random noise of the same size, for comparison.
    Tensor noise(x.spec());
    fill_signs({.seed = 1}, noise);
    say("noise, 8/255", clamp(x + noise * epsilon, 0, 1));

    // 7. Several small steps, never farther than epsilon: projected gradient descent.
    Tensor attacked = x;
    for (int step = 0; step < 10; ++step) {
        attacked = attacked + sign(gradient_at(attacked)) * (epsilon / 4);
        attacked = minimum(maximum(attacked, x - epsilon), x + epsilon);  // back into the ball
        attacked = clamp(attacked, 0, 1);                                 // back into the box
    }
    say("ten steps, 8/255", attacked);

    // 8. The same from the library, which also rounds the ball inwards.
    ModelClassifier classifier(*model, options);
    Pgd pgd({.epsilon = epsilon, .step = epsilon / 4, .steps = 10, .random_start = false});
    say("the library's", pgd.run(classifier, {x, y, {}}));

    // 9. What it looks like.
    auto save = [](const char* name, const Tensor& image) {
        write_png(name, image.view(image.shape().without(0)));
    };
    save("image.png", x);
    save("gradient.png", g / max(abs(g)) * 0.5 + 0.5);
    save("perturbation.png", clamp((attacked - x) / (2 * epsilon) + 0.5, 0, 1));
    save("attacked.png", attacked);
}
