// The built-in networks, described as data with torchvision's names, order of tensors and initial
// distributions.
//
// Each function's result takes images [n, 3, h, w] and gives logits [n, classes]. Tested against
// torchvision 0.14: names, shapes, order, outputs, gradients and the spread of the first values.
#ifndef MANAKO_LEARN_ARCHITECTURES_H_
#define MANAKO_LEARN_ARCHITECTURES_H_

#include <string>
#include <vector>

#include "learn/module_def.h"

namespace manako {

struct HeadOptions {
  int classes = 2;
  double dropout = 0;  // of those that have one
};

struct Architecture {
  std::string name;
  int image_size;          // the usual side in pixels
  double dropout;          // the usual probability; 0 for those without dropout
  std::string classifier;  // prefix of the last layer's tensors
  ModuleDef (*describe)(const HeadOptions& head);
};

const std::vector<Architecture>& Architectures();
// nullptr when there is none of that name.
const Architecture* FindArchitecture(const std::string& name);

// Three convolutions and two linear layers with PyTorch's default initialisation: Manako's own, for
// small images and quick studies. VGG's names.
ModuleDef DescribeCnn3(const HeadOptions& head);
// Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015: configuration D.
ModuleDef DescribeVgg16(const HeadOptions& head);
// He et al., "Deep Residual Learning", CVPR 2016; the stride of a bottleneck is in its 3x3
// convolution (v1.5).
ModuleDef DescribeResNet18(const HeadOptions& head);
ModuleDef DescribeResNet50(const HeadOptions& head);
// Huang et al., "Densely Connected Convolutional Networks", CVPR 2017: growth rate 32.
ModuleDef DescribeDenseNet121(const HeadOptions& head);
// Iandola et al., "SqueezeNet", arXiv:1602.07360, in version 1.1.
ModuleDef DescribeSqueezeNet11(const HeadOptions& head);
// Howard et al., "Searching for MobileNetV3", ICCV 2019: table 2.
ModuleDef DescribeMobileNetV3Small(const HeadOptions& head);

}  // namespace manako

#endif  // MANAKO_LEARN_ARCHITECTURES_H_
