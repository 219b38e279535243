using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Godwit.Fuzz.Engine;

/// <summary>Keeps the input that is being executed in a file, so that it is there when the program dies of it.</summary>
/// <remarks>One write into the page cache for each execution, which outlives the process. The file bears the process's number and goes when the run
/// has ended by itself; one of a process that is not there any more is what somebody has left who died.</remarks>
internal sealed class RunningInput : IDisposable
{
    private readonly FileStream _file;
    private int _length;

    private RunningInput(string path) =>
        _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    /// <summary>Opens a file of its own, and saves what programs that died have left.</summary>
    /// <param name="findings">Where it is, and where what was left goes.</param>
    /// <param name="report">Is told of what was left.</param>
    public static RunningInput Open(FindingFolder findings, Action<string> report)
    {
        var start = $"running-{findings.Target}-";
        Directory.CreateDirectory(findings.Path);
        foreach (var file in Directory.GetFiles(findings.Path, start + "*.txt"))
        {
            if (int.TryParse(Path.GetFileNameWithoutExtension(file)[start.Length..], CultureInfo.InvariantCulture, out var number) && !IsOfSomebodyAlive(file, number))
                Rescue(file, findings, report);
        }

        return new RunningInput(Path.Combine(findings.Path, $"{start}{Environment.ProcessId}.txt"));
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
    public void Remove() => File.Delete(_file.Name);

    public void Dispose() => _file.Dispose();

    private static bool IsOfSomebodyAlive(string file, int number)
    {
        if (number == Environment.ProcessId)
            return false;
        try
        {
            // Numbers are given out again: whoever started after the last execution is somebody else.
            using var process = Process.GetProcessById(number);
            return process.StartTime.ToUniversalTime() <= File.GetLastWriteTimeUtc(file);
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException or Win32Exception)
        {
            return false;
        }
    }

    private static void Rescue(string file, FindingFolder findings, Action<string> report)
    {
        var text = File.ReadAllText(file);
        if (text.Length > 0)
        {
            var path = findings.Save(FuzzInput.Parse(text), "the program ended in this execution");
            report($"an earlier run ended in the middle of an execution, killed or by its input: {path}");
        }

        File.Delete(file);
    }
}
