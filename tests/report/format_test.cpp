#include "report/format.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome::report;

TEST_CASE("shares read as they are, and never flatter", "[report]") {
    CHECK(share_text(.93) == ".93");
    CHECK(share_text(0) == ".00");
    CHECK(share_text(1) == "1.00");
    CHECK(share_text(.998) == ".998");  // not 1.00
    CHECK(share_text(.99996) == ".99996");
    CHECK(share_text(.0004) == ".0004");  // not .00
    CHECK(share_text(-.05) == "−.05");
    CHECK(share_text(NAN) == "–");
    CHECK(share_text(814 / 832.0, 4) == ".9784");
    CHECK(interval_text({.93, .9, .95, 500}) == ".93 [.90, .95]");
    CHECK(interval_text({.93, NAN, NAN, 500}) == ".93");
}

TEST_CASE("numbers of other kinds", "[report]") {
    CHECK(fixed_text(-.001, 2) == "0.00");
    CHECK(fixed_text(-1.5, 1) == "−1.5");
    CHECK(fixed_text(INFINITY, 1) == "∞");
    CHECK(number_text(.0312345) == "0.0312");
    CHECK(number_text(1234) == "1234");
    CHECK(number_text(2) == "2.00");
    CHECK(number_text(0) == "0");
    CHECK(count_text(0) == "0");
    CHECK(count_text(999) == "999");
    CHECK(count_text(25000) == "25,000");
    CHECK(count_text(-1234567) == "-1,234,567");
    CHECK(coordinate_text(12) == "12");
    CHECK(coordinate_text(.5) == "0.5");
    CHECK(coordinate_text(-.001) == "0");
    CHECK(coordinate_text(100) == "100");
}

TEST_CASE("text from strangers comes out harmless", "[report]") {
    CHECK(escape("<script>alert('x\" & y')</script>") ==
          "&lt;script&gt;alert(&#39;x&quot; &amp; y&#39;)&lt;/script&gt;");
    CHECK(escape("ε × 255, 数") == "ε × 255, 数");
    CHECK(clean_text("a\tb\nc") == "a b c");
    CHECK(clean_text(std::string("a\0b\033[31mc", 9)) == "a\uFFFDb\uFFFD[31mc");
    CHECK(clean_text("\u202Egnp.exe") == "\uFFFDgnp.exe");  // would read backwards
    // Not UTF-8: a stray byte, a cut sequence, an overlong slash, half a surrogate, beyond the last.
    for (const char* broken : {"\x80", "\xE2\x82", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
        std::string clean = clean_text(broken);
        CHECK(clean.starts_with("\uFFFD"));
        CHECK(clean_text(clean) == clean);
        CHECK(clean.find('/') == std::string::npos);
    }
}
