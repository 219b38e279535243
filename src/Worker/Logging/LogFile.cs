using Godwit.Worker.Interop;

namespace Godwit.Worker.Logging;

/// <summary>The file both processes append to. Bounded: full, it becomes <c>.1</c> and a new one starts.</summary>
/// <param name="path">Where it is.</param>
internal sealed class LogFile(string path)
{
    /// <summary>Size in bytes above which a new file is started; twice that is the most the log ever takes.</summary>
    internal const long MaxBytes = 1024 * 1024;

    /// <summary>Opens it for appending, moving a full one away first. The caller closes the descriptor.</summary>
    internal int Open()
    {
        if (Length >= MaxBytes)
            File.Move(path, path + ".1", overwrite: true);
        var descriptor = LibC.Open(
            path, LibC.WriteOnly | LibC.Create | LibC.Append | LibC.CloseOnExec | LibC.NoFollow, 0b110_000_000);
        return descriptor >= 0 ? descriptor : throw Errno.Exception($"open {path}");
    }

    /// <summary>Bytes in the current file.</summary>
    internal long Length => new FileInfo(path) is { Exists: true } file ? file.Length : 0;
}
