using System.Text;

namespace Godwit.Fuzz.Engine;

/// <summary>Keeps the input that is being executed in a file, so that it is there when the program dies of it.</summary>
/// <remarks>One write into the page cache for each execution, which outlives the process. The file is locked while its program lives, and gone when
/// that has ended by itself; one that is there and not locked is what a program has left that died.</remarks>
internal sealed class RunningInput : IDisposable
{
    private const int MostAtOnce = 64;
    private readonly FileStream _file;
    private int _length;

    private RunningInput(FileStream file) => _file = file;

    /// <summary>Where it is.</summary>
    public string Path => _file.Name;

    /// <summary>Opens a file of its own, and saves what programs that died have left.</summary>
    /// <param name="findings">Where it is, and where what was left goes.</param>
    /// <param name="report">Is told of what was left.</param>
    public static RunningInput Open(FindingFolder findings, Action<string> report)
    {
        Directory.CreateDirectory(findings.Path);
        RunningInput? own = null;
        for (var number = 0; number < MostAtOnce; number++)
        {
            var path = System.IO.Path.Combine(findings.Path, $"running-{findings.Target}-{number}.txt");
            if ((own is not null && !File.Exists(path)) || TryLock(path) is not { } file)
                continue;
            if (file.Length > 0)
                Rescue(file, findings, report);
            if (own is null)
            {
                own = new RunningInput(file);
                continue;
            }

            File.Delete(path);
            file.Dispose();
        }

        return own ?? throw new IOException($"{MostAtOnce} programs fuzz {findings.Target} with findings in {findings.Path}");
    }

    /// <summary>An execution begins.</summary>
    public void Write(FuzzInput input)
    {
        // Never shorter than what stood there before, so that one call is enough: empty lines mean nothing.
        var text = input.ToString();
        var bytes = Encoding.ASCII.GetBytes(text.PadRight(_length, '\n'));
        _length = text.Length;
        RandomAccess.Write(_file.SafeFileHandle, bytes, 0);
    }

    /// <summary>The run has ended by itself.</summary>
    public void Remove() => File.Delete(Path);

    public void Dispose() => _file.Dispose();

    private static FileStream? TryLock(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static void Rescue(FileStream file, FindingFolder findings, Action<string> report)
    {
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        var path = findings.Save(FuzzInput.Parse(Encoding.ASCII.GetString(bytes)), "the program ended in this execution");
        file.SetLength(0);
        report($"an earlier run ended in the middle of an execution, killed or by its input: {path}");
    }
}
