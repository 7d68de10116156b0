// Checks of pages: tags in balance, text of drawings apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

// Empty when every element is closed in order, attributes are quoted and no & or < stands alone; else what is
// wrong.
std::string html_fault(std::string_view html);

struct TextBox {
    std::string text;
    double left, right, top, bottom;
};

// The boxes of all level text in a drawing, as wide as report/layout.hpp thinks; rotated text is left out.
std::vector<TextBox> text_boxes(std::string_view svg);

// Empty when no two texts overlap and all lie within the drawing; else which.
std::string text_fault(std::string_view svg);
