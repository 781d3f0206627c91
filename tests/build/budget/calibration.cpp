// Nothing of nibble: what the machine needs for headers that others wrote.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <xsimd/xsimd.hpp>

int main()
{
    std::map<std::string, std::vector<double>> numbers;
    for (int i = 0; i < 100; ++i)
        numbers[std::to_string(i % 10)].push_back(std::sin(i));
    for (auto& [name, values] : numbers)
        std::sort(values.begin(), values.end());
    return numbers.size() == 10 ? 0 : 1;
}
