// A program outside the tree, on the installed headers and library.
#include <iostream>
#include <microtome/tensor/tensor.hpp>

int main() {
    microtome::Tensor image = microtome::Tensor::full({1, 4, 4, 3}, 0.5);
    std::cout << image << '\n';
    return image.elements() == 48 ? 0 : 1;
}
