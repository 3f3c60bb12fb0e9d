from pose_tools.dataset.copies import same_bytes


def test_files_of_the_same_bytes_are_grouped(tmp_path):
    contents = [b"abc", b"abd", b"abc", b"", b"abcd", b"", b"abc"]
    paths = [tmp_path / str(i) for i in range(len(contents))]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    assert same_bytes(paths) == [[0, 2, 6], [3, 5]]
    assert same_bytes([paths[1], str(paths[4]), paths[1]]) == [[0, 2]], "a file named twice"
    assert same_bytes([]) == []
