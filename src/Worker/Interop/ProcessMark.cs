using System.Globalization;
using System.Runtime.InteropServices;

namespace Godwit.Worker.Interop;

/// <summary>A process, told apart from a later one that got the same id.</summary>
/// <param name="ProcessId">Its id.</param>
/// <param name="StartTime">When it started, in clock ticks since the kernel booted (field 22 of /proc/PID/stat).</param>
internal readonly record struct ProcessMark(int ProcessId, long StartTime)
{
    /// <summary>This process.</summary>
    internal static ProcessMark Current() => new(Environment.ProcessId, ReadStartTime("self"));

    /// <summary>Asks the process to end, forces it when it does not, and returns once it is really gone.</summary>
    /// <param name="patience">How long it may take to end by itself.</param>
    /// <returns>True when it ended by itself or was gone already; false when it had to be killed.</returns>
    internal bool End(TimeSpan patience)
    {
        var handle = (int)LibC.Call(LibC.PidfdOpenCall, ProcessId, 0, 0, 0);
        if (handle < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            return error == LibC.NoProcess ? true : throw Errno.Exception(error, $"open process {ProcessId}");
        }

        try
        {
            // Compared after the handle is open: from here on the id cannot change hands unnoticed.
            if (ReadStartTime(ProcessId.ToString(CultureInfo.InvariantCulture)) != StartTime)
                return true;
            Send(handle, LibC.SignalTerminate);
            if (WaitForEnd(handle, (int)patience.TotalMilliseconds))
                return true;
            Send(handle, LibC.SignalKill);
            WaitForEnd(handle, -1);
            return false;
        }
        finally
        {
            _ = LibC.Close(handle);
        }
    }

    private static void Send(int handle, int signal)
    {
        if (LibC.Call(LibC.PidfdSendSignalCall, handle, signal, 0, 0) != 0 && Marshal.GetLastPInvokeError() != LibC.NoProcess)
            throw Errno.Exception("end the old worker");
    }

    private static unsafe bool WaitForEnd(int handle, int milliseconds)
    {
        var entry = new LibC.PollEntry { Descriptor = handle, Events = LibC.PollIn };
        int ready;
        do
        {
            ready = LibC.Poll(&entry, 1, milliseconds);
        }
        while (ready < 0 && Marshal.GetLastPInvokeError() == LibC.Interrupted);
        return ready > 0;
    }

    private static long ReadStartTime(string process)
    {
        string line;
        try
        {
            line = File.ReadAllText($"/proc/{process}/stat");
        }
        catch (IOException)
        {
            return -1; // The process is gone.
        }

        // The second field, the name in brackets, may itself hold spaces and brackets; field 3 follows the last one.
        var fields = line[(line.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[19], CultureInfo.InvariantCulture);
    }
}
