# sallyport_room(FOLDER NEEDS LIBRARY... WITHOUT FILE...): the static library of one room, named
# after its folder with slashes as underscores. Files are found by themselves: adding a noun touches
# no build file. Of files that take each other's place, the one not chosen is named after WITHOUT.
function(sallyport_room folder)
    cmake_parse_arguments(room "" "" "NEEDS;WITHOUT" ${ARGN})
    string(REPLACE "/" "_" name ${folder})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
    list(TRANSFORM room_WITHOUT PREPEND ${CMAKE_SOURCE_DIR}/${folder}/)
    list(REMOVE_ITEM sources ${room_WITHOUT})
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC sallyport_options ${room_NEEDS})
    set_target_properties(${name} PROPERTIES OUTPUT_NAME sallyport_${name})
endfunction()
