# sallyport_room(FOLDER NEEDS LIBRARY...): the static library of one room, named after its folder
# with slashes as underscores. Files are found by themselves: adding a noun touches no build file.
function(sallyport_room folder)
    cmake_parse_arguments(room "" "" "NEEDS" ${ARGN})
    string(REPLACE "/" "_" name ${folder})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC sallyport_options ${room_NEEDS})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME sallyport_${name})
endfunction()
