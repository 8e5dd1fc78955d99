manako_library(models
  SOURCES architectures.cc architectures_densenet.cc architectures_mobilenet.cc
          architectures_resnet.cc architectures_squeezenet.cc architectures_vgg.cc instantiate.cc
          model.cc model_load.cc model_save.cc module_def.cc module_split.cc script_file.cc
  DEPS manako_core manako_import manako::torch
  PRIVATE_DEPS nlohmann_json::nlohmann_json
  TESTS architectures_test.cc model_test.cc model_file_test.cc module_split_test.cc
  TEST_DEPS nlohmann_json::nlohmann_json)
