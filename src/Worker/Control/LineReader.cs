namespace Godwit.Worker.Control;

/// <summary>Splits a stream into lines of bounded length. Not thread-safe.</summary>
/// <param name="stream">Where the bytes come from; stays the caller's.</param>
/// <param name="maxBytes">Longest line in bytes, its end not counted.</param>
internal sealed class LineReader(Stream stream, int maxBytes)
{
    private byte[] _buffer = new byte[1024];
    private int _start;
    private int _end;
    private int _searched;

    /// <summary>The last <see cref="ReadAsync"/> gave up on a line that was too long.</summary>
    internal bool TooLong { get; private set; }

    /// <summary>Reads the next line.</summary>
    /// <returns>The line without its end, valid until the next call; null when the stream has ended or the line is too long.
    /// What follows the last line end is dropped: half a request is none.</returns>
    internal async Task<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
            if (found >= 0)
            {
                var line = _buffer.AsMemory(_start, _searched + found - _start);
                _start = _searched = _searched + found + 1;
                return line;
            }

            _searched = _end;
            if (_end - _start > maxBytes)
            {
                TooLong = true;
                return null;
            }

            MakeRoom();
            var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (read == 0)
                return null;
            _end += read;
        }
    }

    private void MakeRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _searched -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
            Array.Resize(ref _buffer, Math.Min(_buffer.Length * 2, maxBytes + 1024));
    }
}
